/**
 * A rig: one guest with cards plugged in. What a hardware-in-the-loop rig is to a board, without the board.
 *
 * Serves every card on a socket in the run folder, starts a guest with them, and takes all of it down again.
 */
import { type StallNotice } from '../../instrumentation/stalls';
import { type CardFactory, ServedCard } from '../../instrumentation/served-card';
import { type FaultCount, type FaultDeclaration, faultsOf } from '../../instrumentation/faults';
import { type PciCard } from '../../emulator/pci';
import { type MarkEvent, type TraceRecorder } from '../../instrumentation/trace';
import { describeEvent, type ServerEvent } from '../../emulator/vfio-user';
import {
  type BindOptions,
  type BoundCard,
  type Guest,
  keepArtifacts,
  launchGuest,
  type LaunchOptions,
  RunFolder,
  type UnplugOptions,
} from '../launch';
import { Cache } from '../provision';
import { SnapshotStore } from '../snapshot';
import { requireAddresses } from './addresses';
import { wordEnd } from './command-end';
import { explainRefusal, RemoteCard } from './remote-card';

/** A card to be served by the rig (`make`), or one that another process serves (`socketPath`). */
export type RigCard<Card extends PciCard = PciCard> = CardSeat & (ServedSeat<Card> | { readonly socketPath: string });

interface ServedSeat<Card extends PciCard> {
  readonly make: CardFactory<Card>;
  /** What is to befall the card; not one that takes its place. */
  readonly faults?: readonly FaultDeclaration[];
}

interface CardSeat {
  /** What the card is called in `bind` and in messages; unique in the rig. */
  readonly name: string;
  /** Bound when the card has been plugged in. Left out: the guest's kernel does with the card what it likes. */
  readonly driver?: string;
  /** How long QEMU waits for the card's answer to an access, in milliseconds. Default: QEMU's own limit, 5 s. */
  readonly answerTimeoutMs?: number;
}

/** A card's model has thrown, or the process that serves it has gone. */
export interface ModelError {
  readonly card: string;
  readonly error: unknown;
}

type LaunchHook = 'onCommandStart' | 'onCommandEnd' | 'onMark';

export interface RigOptions extends Omit<LaunchOptions, 'cards' | 'runDir' | 'snapshots' | LaunchHook> {
  readonly cards?: readonly RigCard[];
  /**
   * 'warm', the default: from the snapshot of a guest that has booted before, in the cache; cards are plugged into the
   * running guest. 'cold': a boot, with the cards there when the machine is switched on.
   */
  readonly start?: 'warm' | 'cold';
  /** See `Rig.recordTo`. */
  readonly recorder?: TraceRecorder;
  /** Gets what happens at the cards' sockets: refused requests, model errors. Default: errors go to standard error. */
  readonly onCardEvent?: (card: string, message: string) => void;
  /** Gets what the watch over the drivers finds: one waits in vain. Default: it goes where `onCardEvent` does. */
  readonly onNotice?: (card: string, notice: StallNotice) => void;
}

/** A card in the rig: how it was asked for, and what serves it. */
interface Seated {
  readonly wanted: RigCard;
  readonly served: ServedCard | RemoteCard;
}

export class Rig implements AsyncDisposable {
  private readonly seated = new Map<string, Seated>();
  /** Names of cards whose servers are being started. */
  private readonly coming = new Set<string>();
  /** Cards that have been taken out: QEMU still asks what is in their slots. */
  private readonly retired: [name: string, served: ServedCard | RemoteCard][] = [];
  private serial = 0;
  private launched: Guest | undefined;
  private closing: Promise<void> | undefined;

  private constructor(
    private readonly folder: RunFolder,
    private readonly onCardEvent: RigOptions['onCardEvent'],
    private recorder: TraceRecorder | undefined,
    private readonly onNotice: RigOptions['onNotice'],
  ) {}

  /** Serves the cards and starts the guest. Rejects, with nothing left behind, when any of it fails. */
  static async start({
    cards = [],
    start = 'warm',
    onCardEvent,
    onNotice,
    recorder,
    ...launch
  }: RigOptions): Promise<Rig> {
    const rig = new Rig(await RunFolder.create(), onCardEvent, recorder, onNotice);
    try {
      const connections = [];
      for (const card of cards) connections.push(await rig.serve(card));
      const { cacheDir } = launch.provisioned;
      const snapshots = start === 'warm' && cacheDir !== undefined ? new SnapshotStore(new Cache(cacheDir)) : undefined;
      rig.launched = await launchGuest({
        ...launch,
        cards: connections,
        runDir: rig.folder.path,
        onCommandStart: (argv, marked) => {
          if (marked) rig.addMark('command', () => `${argv.join(' ')}: begins`);
        },
        onCommandEnd: (argv, end, marked) => {
          rig.catchUp();
          if (marked) rig.addMark('command', () => `${argv.join(' ')}: ${wordEnd(end)}`);
        },
        onMark: (text) => rig.addMark('guest', () => text),
        ...(snapshots && { snapshots }),
      });
      for (const { name } of cards) rig.connected(name);
      for (const { name, driver } of cards) if (driver !== undefined) await rig.bind(name, driver);
      return rig;
    } catch (error) {
      await rig
        .close()
        .catch((second: Error) => process.emitWarning(`Clean-up after a failed start: ${second.message}`));
      throw explainRefusal(error, cards);
    }
  }

  get guest(): Guest {
    return this.launched!;
  }

  /** The names of the cards that are plugged in. */
  get cards(): string[] {
    return [...this.seated.keys()];
  }

  /** The card of this name, to look at its registers and memory from this side. */
  card<Card extends PciCard = PciCard>(name: string): Card {
    const { served } = this.seat(name);
    if (served instanceof RemoteCard) {
      throw new Error(
        `the card '${name}' is served by another process, at ${served.socketPath}: it cannot be looked at here`,
      );
    }
    return served.card as Card;
  }

  /** What the models of the cards have thrown so far, card by card: a run with model errors has not tested the driver. */
  get modelErrors(): readonly ModelError[] {
    return this.everyCard.flatMap(([card, { modelErrors }]) => modelErrors.map((error) => ({ card, error })));
  }

  /** The faults that were declared for the cards, and what has become of them. */
  get declaredFaults(): readonly (FaultCount & { readonly card: string })[] {
    return this.everyCard.flatMap(([card, served]) => {
      const counts = served instanceof ServedCard ? faultsOf(served.card)?.counts : undefined;
      return (counts ?? []).map((count) => ({ ...count, card }));
    });
  }

  /** Gives a card to a driver of the guest: 'uio_pci_generic', 'vfio-pci' or any other; 'none' takes it away. */
  async bind(card: string, driver: string, options?: BindOptions): Promise<BoundCard> {
    await this.addressOf(card);
    return this.guest.bind(card, driver, options);
  }

  /**
   * Puts a card into the running guest, and under its driver. Resolves when the guest has it. One that the guest has no
   * addresses for, or that the driver refuses, stays plugged in: to be looked at, bound again or unplugged.
   */
  async plug(card: RigCard): Promise<BoundCard> {
    const connection = await this.serve(card);
    try {
      await this.guest.plug(connection);
    } catch (error) {
      await this.seat(card.name).served.close();
      this.seated.delete(card.name);
      throw explainRefusal(error, [card]);
    }
    this.connected(card.name);
    if (card.driver !== undefined) return this.bind(card.name, card.driver);
    return { pciAddress: await this.addressOf(card.name), node: '' };
  }

  /**
   * Takes a card out in good order: the guest is asked, its driver's `remove` has run when this resolves. What another
   * process serves stays connected to QEMU, and comes to light again if the guest is told to look for new cards.
   */
  async unplug(name: string, options?: UnplugOptions): Promise<void> {
    const { served } = this.seat(name);
    await this.guest.unplug(name, options);
    if (served instanceof ServedCard) served.severLink();
    this.seated.delete(name);
    this.retired.push([name, served]);
  }

  /** Whether the card has been pulled out, and nobody has taken it out of the guest yet. */
  isSevered(name: string): boolean {
    const { served } = this.seat(name);
    return served instanceof ServedCard && served.isSevered;
  }

  /** The card's link goes down: all reads give all ones from this moment on, and the guest has not been told. */
  severLink(name: string): void {
    this.seat(name).served.severLink();
  }

  /** Pulls a card out without asking: its link goes down first, and the guest notices then. */
  async surpriseRemove(name: string, limit?: UnplugOptions): Promise<void> {
    this.seat(name);
    await this.guest.forgoResets(name);
    this.severLink(name);
    await this.unplug(name, limit);
  }

  /** What a new board in the old slot is: the card goes away without a word, and a fresh one comes, under the same driver. */
  async restartCard(name: string): Promise<BoundCard> {
    const { wanted } = this.seat(name);
    this.onCardEvent?.(name, `the card '${name}' is being restarted; the guest loses it and gets a new one`);
    await this.surpriseRemove(name);
    return this.plug('make' in wanted ? { ...wanted, faults: [] } : wanted);
  }

  /**
   * Records every card that is served from now on, and marks the guest's commands. Whoever gives a recorder closes it.
   * Cards of other processes are not in it. Undefined: what comes is not recorded.
   */
  recordTo(recorder: TraceRecorder | undefined): void {
    this.recorder = recorder;
  }

  /** Marks this moment in the trace, if there is one: behind everything that the guest has written to its cards by now. */
  mark(text: string): void {
    this.addMark('host', () => text);
  }

  /** A folder for this run's files, which is gone when the rig is, whatever becomes of this process. */
  get runDir(): string {
    return this.folder.path;
  }

  /** Copies the guest's logs, as they are now, into a folder. */
  keepArtifacts(folder: string): Promise<void> {
    return keepArtifacts(this.folder.path, folder);
  }

  /** Ends the guest, then the cards, and removes the run folder. Can be called again. */
  close(): Promise<void> {
    this.closing ??= this.takeDown();
    return this.closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** One that fails does not keep the others from being done. */
  private async takeDown(): Promise<void> {
    try {
      await this.launched?.close();
    } finally {
      const ended = await Promise.allSettled(this.everyCard.map(([, served]) => served.close()));
      await this.folder.close();
      for (const outcome of ended) if (outcome.status === 'rejected') throw outcome.reason as Error;
    }
  }

  private addMark(from: MarkEvent['from'], text: () => string): void {
    if (this.recorder === undefined) return;
    this.catchUp();
    this.recorder.mark(text(), from);
  }

  /** Every write that the guest has posted up to now has arrived at its card after this. */
  private catchUp(): void {
    for (const [, served] of this.everyCard) if (served instanceof ServedCard) served.catchUp();
  }

  /** Those that have been taken out first. */
  private get everyCard(): (readonly [name: string, served: ServedCard | RemoteCard])[] {
    return [...this.retired, ...[...this.seated].map(([name, { served }]) => [name, served] as const)];
  }

  /** Where the guest sees the card; rejects when the guest's kernel has found no addresses for one of its BARs. */
  private async addressOf(name: string): Promise<string> {
    const pciAddress = await this.guest.pciAddressOf(name);
    const { served } = this.seat(name);
    if (served instanceof ServedCard) await requireAddresses(this.guest, pciAddress, served.card);
    return pciAddress;
  }

  private async serve(wanted: RigCard) {
    const { name, answerTimeoutMs } = wanted;
    if (this.seated.has(name) || this.coming.has(name)) {
      throw new Error(`two cards are called '${name}': give each a name of its own`);
    }
    this.coming.add(name);
    const served = await this.serverOf(wanted).finally(() => this.coming.delete(name));
    this.seated.set(name, { wanted, served });
    return { name, socketPath: served.socketPath, ...(answerTimeoutMs !== undefined && { answerTimeoutMs }) };
  }

  private async serverOf(wanted: RigCard): Promise<ServedCard | RemoteCard> {
    const { name } = wanted;
    const report = (message: string) =>
      this.onCardEvent ? this.onCardEvent(name, message) : console.error(`ghostcard: ${message}`);
    if ('socketPath' in wanted) {
      this.requireUnused(wanted.socketPath);
      if (this.recorder) {
        report(
          `the card '${name}' is served by another process, and what happens to it is not in the trace ` +
            `${this.recorder.path}: have that process record it (ghostcard serve --trace FILE)`,
        );
      }
      return new RemoteCard(wanted.socketPath, name, report);
    }
    const socketPath = this.folder.socketPath(`card${this.serial++}.sock`);
    const onEvent = this.onCardEvent && ((event: ServerEvent) => report(describeEvent(event)));
    const { make, faults = [] } = wanted;
    const onNotice = (notice: StallNotice) => {
      if (this.onNotice) this.onNotice(name, notice);
      else report(this.onCardEvent ? notice.text : `${name}: ${notice.text}`);
    };
    return ServedCard.start(make, {
      socketPath,
      faults,
      onNotice,
      ...(this.recorder && { recording: { recorder: this.recorder, name } }),
      ...(onEvent && { onEvent }),
    });
  }

  /** QEMU does not let go of a server, which takes no second connection meanwhile. */
  private requireUnused(socketPath: string): void {
    const user = this.everyCard.find(
      ([, served]) =>
        served instanceof RemoteCard && served.socketPath === socketPath && served.modelErrors.length === 0,
    );
    if (user === undefined) return;
    throw new Error(
      `the server at ${socketPath} has been plugged in before, as the card '${user[0]}', and QEMU holds the one ` +
        'connection that it takes: restart that process first',
    );
  }

  /** QEMU is connected to the card. */
  private connected(name: string): void {
    const { served } = this.seat(name);
    if (served instanceof RemoteCard) served.watch();
  }

  private seat(name: string): Seated {
    const seat = this.seated.get(name);
    if (seat === undefined)
      throw new Error(`this rig has no card '${name}'; its cards: ${this.cards.join(', ') || 'none'}`);
    return seat;
  }
}
