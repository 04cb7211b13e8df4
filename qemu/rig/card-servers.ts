/** The cards of a rig, and what serves each of them: this process, or another one. */
import { EventLines } from '../../emulator/vfio-user';
import { type ErrorMessage, type ErrorPath, type MultifunctionCard, type PciCard } from '../../emulator/pci';
import { type CheckCount, checksOf } from '../../instrumentation/checks';
import { type FaultCount, type FaultDeclaration, faultsOf } from '../../instrumentation/faults';
import {
  type CardFactory,
  type NoticeOptions,
  type ServeCardOptions,
  ServedCard,
} from '../../instrumentation/served-card';
import { type Observer } from '../../instrumentation/observer';
import { type RaceDetector } from '../../instrumentation/races';
import { type CardNotice, type Finding, traceOf, type TraceRecorder } from '../../instrumentation/trace';
import { type LaunchCard, type RunFolder } from '../launch';
import { hiddenCapabilities } from './hidden-capabilities';
import { RemoteCard } from './remote-card';
import { StaleIntx } from './stale-intx';

/**
 * A card to be served by the rig (`make`; `makeMultifunction`, when it has several functions), or one that another process
 * serves (`socketPath`).
 */
export type RigCard<Card extends PciCard = PciCard> = {
  /** What the card is called in `bind` and in messages; unique in the rig. */
  readonly name: string;
  /**
   * Bound when the card has been plugged in: all its functions, or each to its own of a list. Default: what the guest's
   * kernel finds, if anything.
   */
  readonly driver?: string | readonly string[];
  /** How long QEMU waits for the card's answer to an access, in milliseconds. Default: QEMU's own limit, 5 s. */
  readonly answerTimeoutMs?: number;
} & (
  | {
      readonly make: CardFactory<Card>;
      /** Faults to be injected; not into a card that takes its place later. */
      readonly faults?: readonly FaultDeclaration[];
    }
  | {
      /** The functions are called as the card, with `.0`, `.1` …: that is their name in `bind`, `card` and traces. */
      readonly makeMultifunction: () => MultifunctionCard;
      /** Faults to be injected, function by function; not into a card that takes its place later. */
      readonly functionFaults?: readonly (readonly FaultDeclaration[])[];
    }
  | { readonly socketPath: string }
);

/** A card's model has thrown, or the process that serves it has gone. */
export interface ModelError {
  readonly card: string;
  readonly error: unknown;
}

/** Called for what happens to the cards of a rig. */
export interface CardListeners {
  /** Receives what happens at the cards' sockets: refused requests, model errors. Default: errors go to standard error. */
  readonly onCardEvent?: (card: string, message: string) => void;
  /** Receives what checks find, and stalls of drivers. Default: they go where `onCardEvent` does. */
  readonly onNotice?: (card: string, notice: CardNotice) => void;
  readonly notices?: NoticeOptions;
  /** @internal Says who in the guest does each register access. */
  readonly observer?: { readonly on: Observer; readonly races?: RaceDetector };
}

type Served = ServedCard | RemoteCard;
type Named = readonly [name: string, served: Served];

/** A function of a card that is plugged in, or about to be: with most cards, the only one. */
interface Present {
  readonly wanted: RigCard;
  readonly served: Served;
}

export class CardServers {
  /** By the names of their functions. */
  readonly #present = new Map<string, Present>();
  /** Names of cards whose servers are being started. */
  readonly #starting = new Set<string>();
  /** Cards that have been unplugged: QEMU still reads what is in their slots. */
  readonly #retired: { readonly name: string; readonly functions: readonly Named[] }[] = [];
  #serial = 0;

  constructor(
    private readonly folder: RunFolder,
    private readonly listeners: CardListeners,
    /** Of the cards that are served from now on. */
    public recorder: TraceRecorder | undefined,
    /** Reads a byte of the guest's bus. */
    private readonly readByte: (busAddress: number) => Promise<unknown>,
    /** Delivers an error message of a card to its root port. */
    private readonly sendError: (card: string, message: ErrorMessage, path: ErrorPath) => Promise<void>,
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

  /** The names of the functions of a card, or of the card that a function belongs to. */
  functionsOf(name: string): string[] {
    const card = this.#present.get(name)?.wanted.name ?? name;
    const functions = this.names.filter((each) => this.get(each).wanted.name === card);
    return functions.length > 0 ? functions : [(this.get(name), name)];
  }

  /** Starts the card's server. Resolves to what QEMU connects to. */
  async start(wanted: RigCard): Promise<LaunchCard> {
    const { name, answerTimeoutMs } = wanted;
    if (this.#isTaken(name) || this.#starting.has(name)) {
      throw new Error(`two cards are called '${name}': give each a name of its own`);
    }
    this.#starting.add(name);
    const served = await this.#serve(wanted).finally(() => this.#starting.delete(name));
    for (const [each, server] of served) this.#present.set(each, { wanted, served: server });
    const [first, ...more] = served.map(([, { socketPath }]) => ({
      socketPath,
      ...(answerTimeoutMs !== undefined && { answerTimeoutMs }),
    }));
    return {
      name,
      ...first!,
      ...(served[0]![1].isReplacement && { isConnected: true }),
      ...(more.length > 0 && { moreFunctions: more }),
    };
  }

  #isTaken(name: string): boolean {
    return this.#present.has(name) || [...this.#present.values()].some(({ wanted }) => wanted.name === name);
  }

  /** To be called when QEMU is connected to the card. */
  connected(name: string): void {
    for (const { served } of this.#functions(name)) if (served instanceof RemoteCard) served.watch();
  }

  /** Closes the server of a card that could not be plugged in. */
  async discard(name: string): Promise<void> {
    for (const each of this.functionsOf(name)) {
      await this.get(each).served.close();
      this.#present.delete(each);
    }
  }

  /** The guest has removed the card. Its servers stay, with the link down. */
  retire(name: string): void {
    const { wanted } = this.#functions(name)[0]!;
    const functions = this.functionsOf(name).map((each): Named => [each, this.get(each).served]);
    for (const [each, served] of functions) {
      if (served instanceof ServedCard) served.severLink();
      this.#present.delete(each);
    }
    this.#retired.push({ name: wanted.name, functions });
  }

  #functions(name: string): Present[] {
    return this.functionsOf(name).map((each) => this.get(each));
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
  get #all(): Named[] {
    const present = [...this.#present].map(([name, { served }]): Named => [name, served]);
    return [...this.#retired.flatMap(({ functions }) => functions), ...present];
  }

  /** The functions of the card, 0 first. */
  async #serve(wanted: RigCard): Promise<readonly Named[]> {
    const { name } = wanted;
    if ('socketPath' in wanted) return [[name, this.#connectTo(wanted.socketPath, name)]];
    const removed = this.#removedCards(name);
    if ('make' in wanted) {
      const single = removed.flatMap((functions) => (functions.length === 1 ? functions : []));
      const served = await ServedCard.start(wanted.make, { ...this.#optionsFor(name, wanted.faults), removed: single });
      return [[name, this.#attend(name, served)]];
    }
    const optionsOf = (index: number) => this.#optionsFor(`${name}.${index}`, wanted.functionFaults?.[index]);
    const functions = await ServedCard.startFunctions(wanted.makeMultifunction(), optionsOf, removed);
    return functions.map((served, index): Named => [`${name}.${index}`, this.#attend(`${name}.${index}`, served)]);
  }

  /** Passes on a notice that is in no trace yet. */
  addNotice(card: string, notice: CardNotice): void {
    const [, served] = this.#all.findLast(([name]) => name === card) ?? [];
    if (served instanceof ServedCard) {
      const { text, dma } = notice;
      traceOf(served.card).add({ kind: 'notice', text, ...(dma && { dma }) });
    }
    this.notify(card, notice);
  }

  /** Passes on what an instrument has noticed. */
  private notify(card: string, notice: CardNotice): void {
    const { onNotice } = this.listeners;
    if (onNotice) onNotice(card, notice);
    else this.report(card, notice.text);
  }

  /** Tells the user something about a card. */
  report(card: string, message: string): void {
    this.#reporter(card)(this.listeners.onCardEvent ? message : `${card}: ${message}`);
  }

  #reporter(name: string): (message: string) => void {
    const { onCardEvent } = this.listeners;
    return (message) => (onCardEvent ? onCardEvent(name, message) : console.error(`ghostcard: ${message}`));
  }

  #connectTo(socketPath: string, name: string): RemoteCard {
    const again = this.#unplugged(socketPath);
    if (again) return again;
    this.#requireUnused(socketPath);
    const report = this.#reporter(name);
    if (this.recorder) {
      report(
        `the card '${name}' is served by another process, so the trace ${this.recorder.path} does not have its ` +
          'events: have that process record them (ghostcard serve --trace FILE)',
      );
    }
    return new RemoteCard(socketPath, name, report);
  }

  #optionsFor(name: string, faults: readonly FaultDeclaration[] = []): Omit<ServeCardOptions, 'removed'> {
    const { onCardEvent, notices, observer } = this.listeners;
    const report = this.#reporter(name);
    return {
      socketPath: this.folder.socketPath(`card${this.#serial++}.sock`),
      faults,
      onNotice: (notice) => this.notify(name, notice),
      onErrorMessage: (message, path) => {
        this.sendError(name, message, path).catch((error: Error) => report(error.message));
      },
      ...(notices && { notices }),
      ...(observer && { observer: { ...observer, name } }),
      ...(this.recorder && { recording: { recorder: this.recorder, name } }),
      ...(onCardEvent && { onEvent: new EventLines(report).add }),
    };
  }

  /** What is done for each card that is served here. */
  #attend(name: string, served: ServedCard): ServedCard {
    for (const hidden of hiddenCapabilities(served.card)) this.report(name, hidden);
    new StaleIntx(served.intxRelease, this.readByte, this.#reporter(name));
    return served;
  }

  /** The functions of those whose place another card may take: first the one that had this name. */
  #removedCards(name: string): ServedCard[][] {
    const ofName = (wanted: boolean) => this.#retired.filter((card) => (card.name === name) === wanted);
    return [...ofName(true), ...ofName(false)].map(({ functions }) =>
      functions.flatMap(([, served]) => (served instanceof ServedCard ? [served] : [])),
    );
  }

  /** The card of another process that was unplugged, if it is that of this socket: QEMU is still connected to it. */
  #unplugged(socketPath: string): RemoteCard | undefined {
    const isAt = ([, served]: Named) =>
      served instanceof RemoteCard && served.socketPath === socketPath && !served.isLost;
    const at = this.#retired.findIndex(({ functions }) => functions.some(isAt));
    if (at < 0) return undefined;
    const [again] = this.#retired.splice(at, 1);
    const served = again!.functions[0]![1] as RemoteCard;
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
