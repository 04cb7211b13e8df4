/** The cards of a rig, and what serves each of them: this process, or another one. */
import { describeEvent, type ServerEvent } from '../../emulator/vfio-user';
import { type PciCard } from '../../emulator/pci';
import { type CheckCount, checksOf } from '../../instrumentation/checks';
import { type FaultCount, type FaultDeclaration, faultsOf } from '../../instrumentation/faults';
import { type CardFactory, type NoticeOptions, ServedCard } from '../../instrumentation/served-card';
import { type CardNotice, type Finding, traceOf, type TraceRecorder } from '../../instrumentation/trace';
import { type LaunchCard, type RunFolder } from '../launch';
import { hiddenCapabilities } from './hidden-capabilities';
import { RemoteCard } from './remote-card';
import { StaleIntx } from './stale-intx';

/** A card to be served by the rig (`make`), or one that another process serves (`socketPath`). */
export type RigCard<Card extends PciCard = PciCard> = CardSeat & (ServedSeat<Card> | { readonly socketPath: string });

interface ServedSeat<Card extends PciCard> {
  readonly make: CardFactory<Card>;
  /** Faults to be injected; not into a card that takes its place later. */
  readonly faults?: readonly FaultDeclaration[];
}

interface CardSeat {
  /** What the card is called in `bind` and in messages; unique in the rig. */
  readonly name: string;
  /** Bound when the card has been plugged in. Default: what the guest's kernel finds, if anything. */
  readonly driver?: string;
  /** How long QEMU waits for the card's answer to an access, in milliseconds. Default: QEMU's own limit, 5 s. */
  readonly answerTimeoutMs?: number;
}

/** A card's model has thrown, or the process that serves it has gone. */
export interface ModelError {
  readonly card: string;
  readonly error: unknown;
}

export interface CardListeners {
  /** Receives what happens at the cards' sockets: refused requests, model errors. Default: errors go to standard error. */
  readonly onCardEvent?: (card: string, message: string) => void;
  /** Receives what checks find, and stalls of drivers. Default: they go where `onCardEvent` does. */
  readonly onNotice?: (card: string, notice: CardNotice) => void;
  readonly notices?: NoticeOptions;
}

type Served = ServedCard | RemoteCard;

/** A card that is plugged in, or about to be. */
interface Present {
  readonly wanted: RigCard;
  readonly served: Served;
}

export class CardServers {
  readonly #present = new Map<string, Present>();
  /** Names of cards whose servers are being started. */
  readonly #starting = new Set<string>();
  /** Cards that have been unplugged: QEMU still reads what is in their slots. */
  readonly #retired: (readonly [name: string, served: Served])[] = [];
  #serial = 0;

  constructor(
    private readonly folder: RunFolder,
    private readonly listeners: CardListeners,
    /** Of the cards that are served from now on. */
    public recorder: TraceRecorder | undefined,
    /** Reads a byte of the guest's bus. */
    private readonly readByte: (busAddress: number) => Promise<unknown>,
  ) {}

  /** The cards that are present and served by this process. */
  get served(): { name: string; card: PciCard }[] {
    return [...this.#present].flatMap(([name, { served }]) =>
      served instanceof ServedCard ? [{ name, card: served.card }] : [],
    );
  }

  /** The names of the cards that are present. */
  get names(): string[] {
    return [...this.#present.keys()];
  }

  get modelErrors(): readonly ModelError[] {
    return this.#all.flatMap(([card, { modelErrors }]) => modelErrors.map((error) => ({ card, error })));
  }

  get declaredFaults(): readonly (FaultCount & { readonly card: string })[] {
    return this.#all.flatMap(([card, served]) => {
      const counts = served instanceof ServedCard ? faultsOf(served.card)?.counts : undefined;
      return (counts ?? []).map((count) => ({ ...count, card }));
    });
  }

  get checkCounts(): readonly (CheckCount & { readonly card: string })[] {
    return this.#all.flatMap(([card, served]) => {
      const counts = served instanceof ServedCard ? checksOf(served.card).counts : [];
      return counts.map((count) => ({ ...count, card }));
    });
  }

  get findings(): readonly (Finding & { readonly card: string })[] {
    return this.#all.flatMap(([card, served]) =>
      served instanceof ServedCard ? traceOf(served.card).findings.map((finding) => ({ ...finding, card })) : [],
    );
  }

  get(name: string): Present {
    const present = this.#present.get(name);
    if (present === undefined)
      throw new Error(`this rig has no card '${name}'; its cards: ${this.names.join(', ') || 'none'}`);
    return present;
  }

  /** Starts the card's server. Resolves to what QEMU connects to. */
  async start(wanted: RigCard): Promise<LaunchCard> {
    const { name, answerTimeoutMs } = wanted;
    if (this.#present.has(name) || this.#starting.has(name)) {
      throw new Error(`two cards are called '${name}': give each a name of its own`);
    }
    this.#starting.add(name);
    const served = await this.#serve(wanted).finally(() => this.#starting.delete(name));
    this.#present.set(name, { wanted, served });
    const { socketPath, isReplacement } = served;
    return {
      name,
      socketPath,
      ...(isReplacement && { isConnected: true }),
      ...(answerTimeoutMs !== undefined && { answerTimeoutMs }),
    };
  }

  /** To be called when QEMU is connected to the card. */
  connected(name: string): void {
    const { served } = this.get(name);
    if (served instanceof RemoteCard) served.watch();
  }

  /** Closes the server of a card that could not be plugged in. */
  async discard(name: string): Promise<void> {
    await this.get(name).served.close();
    this.#present.delete(name);
  }

  /** The guest has removed the card. Its server stays, with the link down. */
  retire(name: string): void {
    const { served } = this.get(name);
    if (served instanceof ServedCard) served.severLink();
    this.#present.delete(name);
    this.#retired.push([name, served]);
  }

  /** Every write that the guest has posted up to now has arrived at its card after this. */
  catchUp(): void {
    for (const [, served] of this.#all) if (served instanceof ServedCard) served.catchUp();
  }

  /** Closes all of them, also when closing one fails. */
  async close(): Promise<void> {
    const ended = await Promise.allSettled(this.#all.map(([, served]) => served.close()));
    for (const outcome of ended) if (outcome.status === 'rejected') throw outcome.reason as Error;
  }

  /** Unplugged cards first. */
  get #all(): (readonly [name: string, served: Served])[] {
    return [...this.#retired, ...[...this.#present].map(([name, { served }]) => [name, served] as const)];
  }

  async #serve(wanted: RigCard): Promise<Served> {
    const { name } = wanted;
    const { onCardEvent } = this.listeners;
    const report = (message: string) =>
      onCardEvent ? onCardEvent(name, message) : console.error(`ghostcard: ${message}`);
    if ('socketPath' in wanted) {
      const again = this.#unplugged(wanted.socketPath);
      if (again) return again;
      this.#requireUnused(wanted.socketPath);
      if (this.recorder) {
        report(
          `the card '${name}' is served by another process, so the trace ${this.recorder.path} does not have its ` +
            'events: have that process record them (ghostcard serve --trace FILE)',
        );
      }
      return new RemoteCard(wanted.socketPath, name, report);
    }
    const onNotice = (notice: CardNotice) => {
      if (this.listeners.onNotice) this.listeners.onNotice(name, notice);
      else report(onCardEvent ? notice.text : `${name}: ${notice.text}`);
    };
    const served = await ServedCard.start(wanted.make, {
      socketPath: this.folder.socketPath(`card${this.#serial++}.sock`),
      removed: this.#removedCards(name),
      faults: wanted.faults ?? [],
      onNotice,
      ...(this.listeners.notices && { notices: this.listeners.notices }),
      ...(this.recorder && { recording: { recorder: this.recorder, name } }),
      ...(onCardEvent && { onEvent: (event: ServerEvent) => report(describeEvent(event)) }),
    });
    for (const hidden of hiddenCapabilities(served.card)) report(onCardEvent ? hidden : `${name}: ${hidden}`);
    new StaleIntx(served.intxRelease, this.readByte, report);
    return served;
  }

  /** Those whose place another card may take: first the one that had this name. */
  #removedCards(name: string): ServedCard[] {
    const ofName = (wanted: boolean) => this.#retired.filter(([other]) => (other === name) === wanted);
    return [...ofName(true), ...ofName(false)].flatMap(([, served]) => (served instanceof ServedCard ? [served] : []));
  }

  /** The card of another process that was unplugged, if it is that of this socket: QEMU is still connected to it. */
  #unplugged(socketPath: string): RemoteCard | undefined {
    const at = this.#retired.findIndex(
      ([, served]) => served instanceof RemoteCard && served.socketPath === socketPath && !served.isLost,
    );
    if (at < 0) return undefined;
    const [[, served]] = this.#retired.splice(at, 1) as [[string, RemoteCard]];
    served.isReplacement = true;
    return served;
  }

  /** A server accepts one connection at a time, and QEMU keeps its own until it ends. */
  #requireUnused(socketPath: string): void {
    const user = this.#all.find(
      ([, served]) => served instanceof RemoteCard && served.socketPath === socketPath && !served.isLost,
    );
    if (user === undefined) return;
    throw new Error(
      `the server at ${socketPath} has been plugged in before, as the card '${user[0]}', and QEMU holds the one ` +
        'connection that it accepts: restart that process first',
    );
  }
}
