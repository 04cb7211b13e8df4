/** Serves a card to a vfio-user client, with its instruments: wall clock, memory that can be mapped, socket. */
import { TimerfdAlarm, WallClock } from '../emulator/clock';
import { checksOf } from './checks';
import { detectStalls } from './stalls';
import { applyFaults, type FaultDeclaration, SlotLink } from './faults';
import { loadNative } from '../emulator/native';
import { type CardEnvironment, IntxRelease, type PciCard, sharedMemory } from '../emulator/pci';
import { type CardNotice, type CardTrace, traceOf, type TraceRecorder } from './trace';
import { logErrors, type ServerEvent } from '../emulator/vfio-user';
import { watchdog } from '../emulator/watchdog';
import { type Occupant, Seat, SeatMemory } from './seat';

/** Makes a card in its environment: a clock, and memory. */
export type CardFactory<Card extends PciCard = PciCard> = (environment: Required<CardEnvironment>) => Card;

export interface ServeCardOptions {
  readonly socketPath: string;
  /** Where everything is recorded, under this name. */
  readonly recording?: { readonly recorder: TraceRecorder; readonly name: string };
  /** Faults to inject into the card. */
  readonly faults?: readonly FaultDeclaration[];
  /** Cards that have been removed from their slots: this one takes the place of the first whose client would not notice. */
  readonly removed?: readonly ServedCard[];
  /** Receives what happens at the socket, and model errors. Default: errors go to standard error. */
  readonly onEvent?: (event: ServerEvent) => void;
  /** Receives what checks find, and stalls of the driver. Default: they go to standard error. */
  readonly onNotice?: (notice: CardNotice) => void;
  readonly notices?: NoticeOptions;
}

/** Which notices are given of a card (docs/checks.md). */
export interface NoticeOptions {
  /** Checks that are switched off, by name. Default: none. */
  readonly off?: readonly string[];
  /** How long a driver may wait without progress, in milliseconds. Default 1000. */
  readonly afterMs?: number;
}

export class ServedCard<Card extends PciCard = PciCard> implements AsyncDisposable {
  private hasEnded = false;

  private constructor(
    readonly card: Card,
    private readonly link: SlotLink,
    private seat: Seat | undefined,
    private readonly memory: SeatMemory,
    /** Where the client finds the card. */
    readonly socketPath: string,
    /** Whether the client is connected already: to a card whose place this one has taken. */
    readonly isReplacement: boolean,
    private readonly clock: WallClock,
    /** What the card's model has thrown so far. */
    readonly modelErrors: readonly unknown[],
    private readonly onModelError: (error: unknown) => void,
    private readonly watches: readonly Disposable[],
    /** For whoever can access the guest's bus. */
    readonly intxRelease: IntxRelease,
  ) {}

  /** Rejects, with nothing left behind, when the card cannot be made or the socket cannot be listened on. */
  static async start<Card extends PciCard>(
    make: CardFactory<Card>,
    {
      socketPath,
      recording,
      faults = [],
      removed = [],
      onEvent = logErrors,
      onNotice = reportNotice,
      notices = {},
    }: ServeCardOptions,
  ): Promise<ServedCard<Card>> {
    const modelErrors: unknown[] = [];
    let trace: CardTrace | undefined;
    const observe = (event: ServerEvent): void => {
      if (event.kind === 'device-error') {
        modelErrors.push(event.error);
        trace?.recording?.record({ kind: 'notice', text: `the model of the card threw: ${String(event.error)}` });
      }
      if (event.kind === 'connected' || event.kind === 'disconnected') trace?.add({ kind: event.kind });
      onEvent(event);
    };
    const native = loadNative();
    const watch = watchdog.watch();
    const clock = new WallClock({
      alarm: new TimerfdAlarm(native),
      isStarted: false,
      onError: (error) => observe({ kind: 'device-error', error }),
      onWorked: () => card?.inspection.events.changed(),
    });
    const memory = new SeatMemory(sharedMemory(native), removed[0]?.memory);
    let card: Card | undefined;
    let detector: Disposable | undefined;
    try {
      card = make({ clock, allocate: memory.allocate });
      trace = traceOf(card);
      const { off = [], afterMs } = notices;
      checksOf(card, { off, onNotice });
      detector = detectStalls(trace, { off, onNotice, ...(afterMs !== undefined && { limitMs: afterMs }) });
      const link = new SlotLink(card);
      const { device } = card.inspection;
      if (faults.length > 0) applyFaults(card, faults, link);
      else device.insert(() => link);
      const isMmapDisabled = device.layout.regions.every(({ mappable }) => mappable === undefined);
      if (recording) trace.record(recording.recorder, { name: recording.name, faults, isMmapDisabled });
      clock.start();
      const onModelError = (error: unknown) => observe({ kind: 'device-error', error });
      const intx = new IntxRelease(card);
      const occupant = { card, device: intx, clock, onEvent: observe };
      const place = removed.find(({ seat }) => seat?.fits(occupant));
      const seat = place ? await place.yieldTo(occupant) : await Seat.start(occupant, socketPath, native);
      return new ServedCard(
        card,
        link,
        seat,
        memory,
        place?.socketPath ?? socketPath,
        place !== undefined,
        clock,
        modelErrors,
        onModelError,
        [detector, watch],
        intx,
      );
    } catch (error) {
      clock.close();
      detector?.[Symbol.dispose]();
      watch[Symbol.dispose]();
      card?.close();
      memory.close();
      throw error;
    }
  }

  /** Whether a client is connected. */
  get connected(): boolean {
    return this.seat?.server.connected ?? false;
  }

  /** Handles at once what the client has sent up to now: posted writes may still be in the socket. */
  catchUp(): void {
    this.seat?.server.catchUp();
  }

  /** Whether the card's link is down: by `severLink`, or by a fault. */
  get isSevered(): boolean {
    return !this.link.isUp;
  }

  /** Takes the card's link down. The client is not notified: see `SlotLink`. */
  severLink(): void {
    if (this.isSevered) return;
    try {
      traceOf(this.card).linkDown(() => this.link.goDown());
    } catch (error) {
      this.onModelError(error); // the card threw in its reset
    }
  }

  /** The client is about to remove the function, whose link is down. */
  leave(): void {
    this.link.leave();
  }

  /** Disconnects the client, removes the socket, stops device time and releases the card's memory. */
  async close(): Promise<void> {
    await this.seat?.server.close();
    this.end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Another card takes the place of this one, which ends. */
  private async yieldTo(next: Occupant): Promise<Seat> {
    const seat = this.seat!;
    seat.replaceBy(next);
    this.seat = undefined;
    this.end();
    return seat;
  }

  private end(): void {
    if (this.hasEnded) return;
    this.hasEnded = true;
    this.clock.close();
    try {
      this.card.close();
    } catch (error) {
      this.onModelError(error);
    }
    this.memory.close();
    for (const watch of this.watches) watch[Symbol.dispose]();
  }
}

const reportNotice = ({ text }: CardNotice): void => console.error(`ghostcard: ${text}`);
