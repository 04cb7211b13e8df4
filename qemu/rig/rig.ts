/**
 * A rig: one guest with cards plugged in. What a hardware-in-the-loop rig is to a board, without the board.
 *
 * Serves every card on a socket in the run folder, starts a guest with them, and tears all of it down again.
 */
import { type CheckCount, checksOf } from '../../instrumentation/checks';
import { type FaultCount } from '../../instrumentation/faults';
import { type Observer } from '../../instrumentation/observer';
import { type Provenance } from '../../instrumentation/provenance';
import { type RaceReport, Suppressions } from '../../instrumentation/races';
import { ServedCard } from '../../instrumentation/served-card';
import { type ErrorMessage, type ErrorPath, type PciCard } from '../../emulator/pci';
import { type Finding, type MarkEvent, type TraceRecorder } from '../../instrumentation/trace';
import {
  type BindOptions,
  type BoundCard,
  defaultSlots,
  type Guest,
  keepArtifacts,
  launchGuest,
  type LaunchOptions,
  RunFolder,
  type UnplugOptions,
} from '../launch';
import { Cache } from '../provision';
import { SnapshotStore } from '../snapshot';
import { requireAddresses, requireRoom } from './bar-room';
import { type CardListeners, CardServers, type ModelError, type RigCard } from './card-servers';
import { wordEnd } from './commands';
import { Departures } from './departures';
import { GuestPages } from './guest-pages';
import { msiLimit } from './msi-limit';
import { Observation } from './observation';
import { type PageLayout, readPageLayout } from './page-layout';
import { explainRefusal, RemoteCard } from './remote-card';

/** Drivers whose memory is that of programs: none of theirs is in the kernel's slabs. */
const DRIVERS_FOR_PROGRAMS: readonly string[] = ['uio_pci_generic', 'vfio-pci', 'uio_pdrv_genirq', 'vfio-platform'];

type LaunchHook = 'onCommandStart' | 'onCommandEnd' | 'onMark' | 'onUp' | 'observer';

/** What a rig is made of. */
export interface RigOptions
  extends Omit<LaunchOptions, 'cards' | 'runDir' | 'snapshots' | LaunchHook>, Omit<CardListeners, 'observer'> {
  readonly cards?: readonly RigCard[];
  /**
   * 'warm', the default: restored from the snapshot of a booted guest, in the cache; cards are plugged into the running
   * guest. 'cold': a boot, with the cards present when the machine is switched on.
   */
  readonly start?: 'warm' | 'cold';
  /** Observe the guest's processors: each register access in a trace has its origin then. Default: false. */
  readonly observe?: boolean;
  /** Look for DMA races between the driver and its cards (docs/dma-races.md). Observes the processors too. Default: false. */
  readonly checkDma?: boolean;
  /** A file of races that are not to be reported (docs/dma-races.md). */
  readonly suppressRaces?: string;
  /** See `Rig.recordTo`. */
  readonly recorder?: TraceRecorder;
}

/** A guest with cards plugged in, which are served here. Closing it leaves nothing behind. */
export class Rig implements AsyncDisposable {
  private launched: Guest | undefined;
  private closing: Promise<void> | undefined;
  /** Absent behind an IOMMU, where a card's addresses are not those of memory. */
  private pageLayout: PageLayout | undefined;
  /** The driver that a function was bound to last. */
  private readonly drivers = new Map<string, string>();
  private suppressions: Suppressions | undefined;
  private readonly foundRaces: RaceReport[] = [];
  /** Of this command: each place is reported once. */
  private readonly knownRaces = new Set<string>();
  private reporting = Promise.resolve();
  private readonly departures = new Departures(
    () => this.guest,
    () => this.servers.served,
  );

  private constructor(
    private readonly folder: RunFolder,
    private readonly servers: CardServers,
    private readonly onCardEvent: RigOptions['onCardEvent'],
    private readonly slots: number,
    private readonly machine: Pick<LaunchOptions, 'provisioned' | 'iommu'>,
    private readonly observation: Observation | undefined,
  ) {}

  /** Serves the cards and starts the guest. Rejects, with nothing left behind, when any of it fails. */
  static async start({
    cards = [],
    start = 'warm',
    onCardEvent,
    onNotice,
    notices,
    recorder,
    observe = false,
    checkDma = false,
    suppressRaces,
    ...launch
  }: RigOptions): Promise<Rig> {
    const suppressions = suppressRaces === undefined ? undefined : Suppressions.read(suppressRaces);
    const observation = observe || checkDma ? await Observation.start(launch, checkDma) : undefined;
    const folder = await RunFolder.create();
    const listeners = {
      ...(onCardEvent && { onCardEvent }),
      ...(onNotice && { onNotice }),
      ...(notices && { notices }),
      ...(observation && {
        observer: { on: observation.observer, ...(observation.detector && { races: observation.detector }) },
      }),
    };
    const servers = new CardServers(
      folder,
      listeners,
      recorder,
      (busAddress) => rig.readByte(busAddress),
      (...message) => rig.sendError(...message),
    );
    const rig: Rig = new Rig(folder, servers, onCardEvent, launch.slots ?? defaultSlots(cards), launch, observation);
    rig.suppressions = suppressions;
    try {
      const connections = [];
      for (const card of cards) {
        connections.push(await servers.start(card));
        rig.requireRoom(card.name, start);
      }
      const { cacheDir } = launch.provisioned;
      const snapshots = start === 'warm' && cacheDir !== undefined ? new SnapshotStore(new Cache(cacheDir)) : undefined;
      rig.launched = await launchGuest({
        ...launch,
        cards: connections,
        runDir: folder.path,
        onCommandStart: (argv, marked) => {
          if (marked) rig.departures.commandStarted();
          if (marked) rig.beginRound();
          if (marked) rig.addMark('command', () => `${argv.join(' ')}: begins`);
        },
        onCommandEnd: (argv, end, marked) => {
          servers.catchUp();
          if (marked) rig.departures.commandEnded(argv.join(' '));
          if (marked) rig.addMark('command', () => `${argv.join(' ')}: ${wordEnd(end)}`);
          if (marked) void rig.named();
        },
        onMark: (text) => rig.addMark('guest', () => text),
        ...observation?.launchIn(folder.path, () => rig.launched?.loadedModules ?? []),
        ...(snapshots && { snapshots }),
      });
      if (launch.iommu !== true) rig.pageLayout = await readPageLayout(rig.guest);
      for (const { name } of cards) rig.connected(name);
      for (const card of cards) if (card.driver !== undefined) await rig.bindAll(card);
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

  /** @internal Of the guest's processors, with `observe`. */
  get observer(): Observer | undefined {
    return this.observation?.observer;
  }

  /** The names of the cards that are plugged in; of a card with several functions, those of the functions. */
  get cards(): string[] {
    return this.servers.names;
  }

  /** The names of the functions of a card: 'card.0', 'card.1' …, or its own name when it has one. */
  functionsOf(name: string): string[] {
    return this.servers.functionsOf(name);
  }

  /** The model of the card of this name: its registers and its memory from the card's side. */
  card<Card extends PciCard = PciCard>(name: string): Card {
    const { served } = this.servers.get(name);
    if (served instanceof RemoteCard) {
      throw new Error(
        `the card '${name}' is served by another process, at ${served.socketPath}: this process does not have its model`,
      );
    }
    return served.card as Card;
  }

  /** What the models of the cards have thrown so far, card by card: a run with model errors has not tested the driver. */
  get modelErrors(): readonly ModelError[] {
    return this.servers.modelErrors;
  }

  /** The faults that were declared for the cards, and how often each has fired. */
  get declaredFaults(): readonly (FaultCount & { readonly card: string })[] {
    return this.servers.declaredFaults;
  }

  /** How often checks have found something, card by card. */
  get checkCounts(): readonly (CheckCount & { readonly card: string })[] {
    return this.servers.checkCounts;
  }

  /** What is left to say of the cards now: halts, refused DMA, what still runs, interrupts that nobody has taken. */
  get findings(): readonly (Finding & { readonly card: string })[] {
    return this.servers.findings;
  }

  /** Resolves when checks know which drivers have gone with the commands that have ended. */
  async settled(): Promise<void> {
    await this.departures.settled();
    await this.named();
  }

  /** Resolves when the code that has accessed cards has its names, with `observe`, as far as they can be found. */
  async named(): Promise<void> {
    await this.observation?.nameIn(this.servers.recorder);
    await this.reportRaces();
  }

  /**
   * Whose bytes the memory of the guest holds now, at an address as the card has it: who wrote them last, and who read them.
   * Behind an IOMMU as the card's memory is mapped now. @throws Error without `observe` or `checkDma`, or for a card that is
   * not plugged in, or is another process's
   */
  async provenance(card: string, iova: number, sizeBytes: number): Promise<readonly Provenance[]> {
    const model = this.card(card);
    if (this.observation === undefined) {
      throw new Error(
        "Cannot say who wrote a card's memory: the guest's processors are not observed. Start the guest with observe: true.",
      );
    }
    this.servers.catchUp();
    return this.observation.provenance(model, iova, sizeBytes);
  }

  /** Whether DMA races are looked for. */
  get looksForRaces(): boolean {
    return this.observation?.detector !== undefined;
  }

  /** The entries of `suppressRaces` that have suppressed nothing so far, in words. */
  get unusedSuppressions(): readonly string[] {
    return this.suppressions?.unused ?? [];
  }

  /** The DMA races that have been found by now; complete when the rig has settled. */
  get races(): readonly RaceReport[] {
    return this.foundRaces;
  }

  private beginRound(): void {
    this.observation?.detector?.beginRound();
    this.knownRaces.clear();
  }

  /** Reports the races that have been found by now, with the names of the code. */
  private async reportRaces(): Promise<void> {
    const { observation, servers } = this;
    this.reporting = this.reporting.then(async () => {
      for (const race of (await observation?.takeRaces()) ?? []) {
        const { card, kind, code, dma, text } = race;
        const key = `${card} ${kind} ${code}`;
        if (this.suppressions?.has(race) || this.knownRaces.has(key)) continue;
        this.knownRaces.add(key);
        this.foundRaces.push(race);
        servers.addNotice(card, { kind, code, dma, text });
      }
    });
    await this.reporting;
  }

  /** Binds a card to a driver of the guest: 'uio_pci_generic', 'vfio-pci' or any other; 'none' unbinds it. */
  async bind(card: string, driver: string, options?: BindOptions): Promise<BoundCard> {
    await this.addressOf(card);
    const bound = await this.guest.bind(card, driver, options);
    this.drivers.set(card, driver);
    const limit = msiLimit(driver, this.machine);
    if (limit !== undefined) this.servers.report(card, limit);
    const { served } = this.servers.get(card);
    if (driver === 'none' && served instanceof ServedCard) checksOf(served.card).driverLeft('its driver was unbound');
    return bound;
  }

  /**
   * Plugs a card into the running guest and binds it to its driver. Resolves when the guest has it. A card that the guest
   * has no addresses for, or that the driver refuses, stays plugged in: to be examined, bound again or unplugged. Of a
   * card with several functions, function 0 is returned.
   */
  async plug(card: RigCard): Promise<BoundCard> {
    const connection = await this.servers.start(card);
    try {
      this.requireRoom(card.name, 'warm');
      await this.guest.plug(connection);
    } catch (error) {
      await this.servers.discard(card.name);
      throw explainRefusal(error, [card]);
    }
    this.connected(card.name);
    const [first] = await this.bindAll(card);
    return first!;
  }

  /** QEMU is connected to the card. */
  private connected(name: string): void {
    this.servers.connected(name);
    const layout = this.pageLayout;
    if (layout === undefined) return;
    for (const each of this.functionsOf(name)) {
      const { served } = this.servers.get(each);
      if (!(served instanceof ServedCard)) continue;
      const isForProgram = (): boolean => DRIVERS_FOR_PROGRAMS.includes(this.drivers.get(each) ?? '');
      const processes = served.observed && this.observation?.processesOf(served.observed);
      checksOf(served.card).lookAtPages(new GuestPages(layout, served.card.inspection, isForProgram, processes));
    }
  }

  /** The functions of a card to their drivers; those without one are looked up. */
  private async bindAll({ name, driver = [] }: RigCard): Promise<BoundCard[]> {
    const functions = this.functionsOf(name);
    const drivers = typeof driver === 'string' ? functions.map(() => driver) : driver;
    if (drivers.length > functions.length) {
      throw new Error(
        `${drivers.length} drivers were given for the card '${name}', which has ${functions.length} function(s)`,
      );
    }
    const bound: BoundCard[] = [];
    for (const [index, each] of functions.entries()) {
      const wanted = drivers[index];
      if (wanted !== undefined) bound.push(await this.bind(each, wanted));
      else bound.push({ pciAddress: await this.addressOf(each), node: '' });
    }
    return bound;
  }

  /**
   * Unplugs a card in an orderly way: the guest is asked, and its driver's `remove` has run when this resolves. A card that
   * is plugged in later takes its slot and its address, if its BARs and capabilities are the same. A card of another
   * process stays connected to QEMU, and reappears if the guest rescans the bus. All functions of a card go together.
   */
  async unplug(name: string, options?: UnplugOptions): Promise<void> {
    this.servers.functionsOf(name);
    await this.guest.unplug(name, options);
    this.servers.retire(name);
  }

  /** Whether the card's link is down and the guest has not removed the card yet. */
  isSevered(name: string): boolean {
    return this.functionsOf(name).some((each) => {
      const { served } = this.servers.get(each);
      return served instanceof ServedCard && served.isSevered;
    });
  }

  /** Takes the card's link down: from this moment on all reads return all ones. The guest is not notified. */
  severLink(name: string): void {
    for (const each of this.functionsOf(name)) this.servers.get(each).served.severLink();
  }

  /** Surprise removal: the card's link goes down first, and the guest notices then. */
  async surpriseRemove(name: string, limit?: UnplugOptions): Promise<void> {
    this.severLink(name);
    for (const each of this.functionsOf(name)) this.servers.get(each).served.leave();
    await this.unplug(name, limit);
  }

  /** As a new board in the old slot: surprise removal of the card, then a new card under the same driver. */
  async restartCard(name: string): Promise<BoundCard> {
    const { wanted } = this.servers.get(this.functionsOf(name)[0]!);
    this.onCardEvent?.(name, `the card '${name}' is being restarted; the guest loses it and gets a new one`);
    await this.surpriseRemove(name);
    if ('make' in wanted) return this.plug({ ...wanted, faults: [] });
    return this.plug('makeMultifunction' in wanted ? { ...wanted, functionFaults: [] } : wanted);
  }

  /**
   * Records every card that is served from now on, and marks the guest's commands. The caller closes the recorder. Cards
   * of other processes are not recorded. Undefined ends the recording.
   */
  recordTo(recorder: TraceRecorder | undefined): void {
    this.servers.recorder = recorder;
  }

  /** Marks this moment in the trace, if there is one: after everything that the guest has written to its cards by now. */
  mark(text: string): void {
    this.addMark('host', () => text);
  }

  /** A folder for this run's files. It is removed with the rig, however this process ends. */
  get runDir(): string {
    return this.folder.path;
  }

  /** Copies the guest's logs, as they are now, into a folder. */
  keepArtifacts(folder: string): Promise<void> {
    return keepArtifacts(this.folder.path, folder);
  }

  /** Ends the guest, then the cards, and removes the run folder. May be called more than once. */
  close(): Promise<void> {
    this.closing ??= this.tearDown();
    return this.closing;
  }

  /** As `close`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** When one step fails, the others are done all the same. */
  private async tearDown(): Promise<void> {
    try {
      if (this.launched?.died.aborted === false) await this.named();
      await this.launched?.close();
    } finally {
      await this.servers.close().finally(() => {
        this.observation?.[Symbol.dispose]();
        return this.folder.close();
      });
    }
  }

  private readByte(busAddress: number): Promise<void> {
    return this.whileRunning((guest) => guest.readByte(busAddress));
  }

  private sendError(card: string, message: ErrorMessage, path: ErrorPath): Promise<void> {
    return this.whileRunning((guest) => guest.sendError(card, message, path));
  }

  /** Has QEMU's monitor do something. Nothing happens once the guest has ended, which may cut it off. */
  private async whileRunning(act: (guest: Guest) => Promise<void>): Promise<void> {
    const guest = this.launched;
    const hasEnded = () => guest === undefined || guest.died.aborted || this.closing !== undefined;
    if (guest === undefined || hasEnded()) return;
    await act(guest).catch((error: Error) => {
      if (!hasEnded()) throw error;
    });
  }

  private addMark(from: MarkEvent['from'], text: () => string): void {
    const { recorder } = this.servers;
    if (recorder === undefined) return;
    this.servers.catchUp();
    recorder.mark(text(), from);
  }

  private requireRoom(name: string, start: 'warm' | 'cold'): void {
    const served = this.functionsOf(name).map((each) => this.servers.get(each).served);
    const cards = served.flatMap((each) => (each instanceof ServedCard ? [each.card] : []));
    requireRoom(name, cards, { slots: this.slots, start });
  }

  /** Where the guest sees the card; rejects when the guest's kernel has no addresses for one of its BARs. */
  private async addressOf(name: string): Promise<string> {
    const pciAddress = await this.guest.pciAddressOf(name);
    const { served } = this.servers.get(name);
    if (served instanceof ServedCard) await requireAddresses(this.guest, pciAddress, served.card);
    return pciAddress;
  }
}
