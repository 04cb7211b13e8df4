/** A card that has been made and fitted with its instruments, and does not have its place at a socket yet. */
import { type Clock, type WallClock } from '../emulator/clock';
import { type Device } from '../emulator/device';
import { type Native } from '../emulator/native';
import {
  type CardEnvironment,
  type ErrorMessage,
  ErrorPath,
  IntxRelease,
  type PciCard,
  sharedMemory,
} from '../emulator/pci';
import { logErrors, type ServerEvent } from '../emulator/vfio-user';
import { checksOf } from './checks';
import { applyFaults, type FaultDeclaration, SlotLink } from './faults';
import { type Occupant, SeatMemory } from './seat';
import { type ObservedCard, type Observer } from './observer';
import { Origins, RecordedOrigins } from './origins';
import { type RaceDetector } from './races';
import { detectStalls } from './stalls';
import { type CardNotice, type CardRecording, type CardTrace, printable, traceOf, type TraceRecorder } from './trace';

export interface FitOptions {
  /** Where everything is recorded, under this name. */
  readonly recording?: { readonly recorder: TraceRecorder; readonly name: string };
  /** Faults to inject into the card. */
  readonly faults?: readonly FaultDeclaration[];
  /** @internal Receives what happens at the socket, and model errors. Default: errors go to standard error. */
  readonly onEvent?: (event: ServerEvent) => void;
  /** Receives what checks find, and stalls of the driver. Default: they go to standard error. */
  readonly onNotice?: (notice: CardNotice) => void;
  readonly notices?: NoticeOptions;
  /** @internal Delivers error messages to the root port. Default: nobody does. */
  readonly onErrorMessage?: (message: ErrorMessage, path: ErrorPath) => void;
  /**
   * @internal Says who in the guest does each register access, and who wrote memory: the card by this name; and, with a detector, what
   * races with it.
   */
  readonly observer?: { readonly on: Observer; readonly name: string; readonly races?: RaceDetector };
}

/** Which notices are given of a card (docs/checks.md). */
export interface NoticeOptions {
  /** Checks that are switched off, by name. Default: none. */
  readonly off?: readonly string[];
  /** How long a driver may wait without progress, in milliseconds. Default 1000. */
  readonly afterMs?: number;
}

export class FittedCard<Card extends PciCard = PciCard> {
  /** What the card's model has thrown so far. */
  readonly modelErrors: unknown[] = [];
  readonly memory: SeatMemory;
  card!: Card;
  link!: SlotLink;
  intx!: IntxRelease;
  observed: ObservedCard | undefined;
  /** What the client drives. */
  private front!: Device;
  #trace: CardTrace | undefined;
  #detector: Disposable | undefined;

  /** `inherited`: the memory of a card whose place this one may take. */
  constructor(
    private readonly options: FitOptions,
    native: Native,
    inherited?: SeatMemory,
  ) {
    this.memory = new SeatMemory(sharedMemory(native), inherited);
  }

  fit(make: (environment: Required<CardEnvironment>) => Card, clock: Clock): void {
    const { recording, faults = [], onNotice = reportNotice, notices = {}, observer } = this.options;
    const card = (this.card = make({ clock, allocate: this.memory.allocate }));
    // Before the trace and a recording: who did an access is in them before the next.
    const observed = (this.observed = observer?.on.observe(card, observer.name));
    const errors = observed && observer?.races?.watch(card, observer.name, observed);
    const trace = (this.#trace = traceOf(card));
    const origins = observer && Origins.of(observer.on);
    const { off = [], afterMs } = notices;
    const checks = checksOf(card, { off, onNotice });
    if (errors) checks.lookAtErrors(errors);
    const onSuspicion = (): void => {
      observed?.settle();
      void origins?.name(recording?.recorder);
    };
    const limit = afterMs === undefined ? {} : { limitMs: afterMs };
    this.#detector = detectStalls(trace, { off, onSuspicion, onNotice, ...limit });
    const link = (this.link = new SlotLink(card));
    const { device } = card.inspection;
    if (faults.length > 0) applyFaults(card, faults, link);
    else device.insert(() => link);
    const isMmapDisabled = device.layout.regions.every(({ mappable }) => mappable === undefined);
    const recorded = recording && trace.record(recording.recorder, { name: recording.name, faults, isMmapDisabled });
    observed?.onOrigin((access) => {
      if (access === undefined) return;
      const origin = origins!.of(access);
      trace.addOrigin(origin);
      if (recorded) RecordedOrigins.of(recording.recorder).record(recorded, origin);
    });
    if (recorded && observer) recordWriters(card, recorded, recording.recorder, observer.on);
    this.intx = new IntxRelease(card);
    this.front = this.errorPath() ?? this.intx;
  }

  /** The card, as it is put at a socket. */
  occupant(clock: WallClock): Occupant {
    return { card: this.card, device: this.front, clock, onEvent: (event) => this.observe(event) };
  }

  /** The way of error messages, if somebody delivers them. */
  private errorPath(): ErrorPath | undefined {
    const { errors } = this.card.inspection;
    if (errors === undefined) return undefined;
    const { onErrorMessage } = this.options;
    if (onErrorMessage === undefined) return undefined;
    const path = new ErrorPath(this.intx, this.card);
    errors.onMessage = (message) => onErrorMessage(message, path);
    return path;
  }

  readonly observe = (event: ServerEvent): void => {
    if (event.kind === 'device-error') {
      this.modelErrors.push(event.error);
      this.#trace?.recording?.record({ kind: 'notice', text: `the model of the card threw: ${String(event.error)}` });
    }
    if (event.kind === 'connected' || event.kind === 'disconnected') this.#trace?.add({ kind: event.kind });
    (this.options.onEvent ?? logErrors)(event);
  };

  threw(error: unknown): void {
    this.observe({ kind: 'device-error', error });
  }

  /** Ends the card, which may have been made or not, and its instruments. */
  close(): void {
    this.observed?.settle();
    try {
      (this.card as Card | undefined)?.close();
    } catch (error) {
      this.threw(error);
    }
    this.memory.close();
    this.#detector?.[Symbol.dispose]();
  }
}

/** Who wrote what the card reads: when it reads it, since others write there later. */
function recordWriters(card: PciCard, recording: CardRecording, recorder: TraceRecorder, observer: Observer): void {
  const origins = Origins.of(observer);
  card.inspection.events.subscribe((event) => {
    if (event.kind !== 'dma-read' || event.error !== undefined) return;
    const { iova, sizeBytes } = event;
    const pieces = observer.writersOf(card, iova, sizeBytes, (writer) => writer && origins.ofWriter(writer));
    RecordedOrigins.of(recorder).recordWritten(recording, pieces);
  });
}

const reportNotice = ({ text }: CardNotice): void => console.error(`ghostcard: ${printable(text)}`);
