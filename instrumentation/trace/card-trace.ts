/**
 * What has happened to a card, for people who want to know why a test failed: its last events in a ring, and totals of
 * what interrupts and DMA it has done. `traceOf(card)` is there for every card that a host drives; whoever drives one
 * does it through `trace.device`, which is the card with a listener at the seam.
 */
import { AddressMap, DmaAccess, type DmaError, type DmaInitiator } from '../../emulator/memory';
import { type HeldReason, Irq, type PciCard, type ResetKind } from '../../emulator/pci';
import { type DmaMapping, type IrqSink, type Device } from '../../emulator/device';
import { CardRecording, type EventSink, type RecordCardOptions } from './card-recording';
import { type InterruptPhase } from './event';
import { type EventDetail, EventRing, Kind, type RecentEvent } from './event-ring';
import { type SeamListener, TracedDevice } from './traced-device';
import { type TraceWatcher, unwatched } from './watcher';

const DMA_READ = Kind['dma-read'];
const DMA_WRITE = Kind['dma-write'];
/** Events kept. */
const CAPACITY = 4096;
/** Notices kept. */
const NOTICES = 100;

export interface DmaTotals {
  readonly accesses: number;
  readonly bytes: number;
  readonly errors: number;
}

export interface Notice {
  /** Device time. */
  readonly timeNs: number;
  readonly text: string;
}

const traces = new WeakMap<PciCard, CardTrace>();

/** The trace of a card; there is one, from the first time that it is asked for. */
export function traceOf(card: PciCard): CardTrace {
  let trace = traces.get(card);
  if (trace === undefined) traces.set(card, (trace = new CardTrace(card)));
  return trace;
}

export class CardTrace {
  /** The card as a client is to drive it. */
  readonly device: Device;
  readonly #ring = new EventRing(CAPACITY);
  readonly #listeners = new Set<() => void>();
  /** Something may have changed that is no event: the card has worked in its own time. */
  readonly touch = (): void => {
    if (this.#listeners.size > 0) for (const listener of this.#listeners) listener();
  };
  readonly #interrupts: number[][] = [];
  readonly #connected: (boolean | undefined)[][] = [];
  readonly #dma = { read: { accesses: 0, bytes: 0, errors: 0 }, write: { accesses: 0, bytes: 0, errors: 0 } };
  readonly #resets = { flr: 0, device: 0 };
  #recording: CardRecording | undefined;
  /** The reset that comes is the client's. */
  #clientResets = false;
  readonly #hostMemory = new AddressMap();
  readonly #hostAccess = new DmaAccess(this.#hostMemory, () => true);

  /** Looks on as things happen; one at a time. */
  watcher: TraceWatcher = unwatched;
  /** What the parts of the card have last said of themselves: 'H2C0' is 'running'. */
  readonly states = new Map<string, string>();
  readonly #notices: Notice[] = [];

  /** Use `traceOf`. */
  constructor(readonly card: PciCard) {
    this.device = this.around(card);
    const { inspection } = card;
    inspection.clock.onTask = () => {
      this.#recording?.task();
      this.watcher.turn();
    };
    inspection.clock.onNested = () => this.#recording?.nested();
    inspection.observer = {
      dma: (access, by, iova, bytes, error, isAsync) => this.#sawDma(access, by, iova, bytes, error, isAsync),
      reset: (kind) => {
        this.#resets[kind]++;
        this.#recording?.reset(kind === 'flr' || this.#clientResets ? kind : 'other');
        this.watcher.reset();
        this.#add(Kind.reset, 0, 0, 0, 0, 0, kind);
      },
      raised: (index, vector) => this.#sawInterrupt('raised', index, vector),
      lowered: () => this.#sawInterrupt('lowered', Irq.INTX, 0),
      held: (index, vector, reason) => this.#sawInterrupt('held', index, vector, reason),
      state: (part, state) => {
        this.#recording?.state(part, state);
        this.states.set(part, state);
        this.watcher.state(part, state);
      },
    };
  }

  /**
   * From now on, everything is written to a file as well. To be called before a client drives the card: a replay begins
   * with the card as it was made.
   */
  record(recorder: EventSink, options: RecordCardOptions): CardRecording {
    return (this.#recording = new CardRecording(this.card, recorder, options));
  }

  /** What it is recorded by, if it is. */
  get recording(): CardRecording | undefined {
    return this.#recording;
  }

  /** The same for a device that stands between the client and the card. */
  around(device: Device): Device {
    const unmapsWindows = () => this.#recording?.unmapsWindows === true;
    return new TracedDevice(device, this.card.inspection.clock, this.#seamListener(), unmapsWindows);
  }

  /** How many events the ring has lost to newer ones. */
  get forgotten(): number {
    return this.#ring.forgotten;
  }

  /** From the last event back. */
  newestFirst(): Generator<RecentEvent> {
    return this.#ring.newestFirst();
  }

  /** How often the card has interrupted, by vector of an interrupt index (INTx 0, MSI 1, MSI-X 2). */
  interrupts(index: number): readonly number[] {
    return this.#interrupts[index] ?? [];
  }

  /** The vectors of an interrupt index that the client has connected. */
  connectedVectors(index: number): readonly number[] {
    return (this.#connected[index] ?? []).flatMap((connected, vector) => (connected ? [vector] : []));
  }

  /** What the card has read from host memory, or written to it. */
  dma(access: 'read' | 'write'): DmaTotals {
    return this.#dma[access];
  }

  /** How often the card has been reset: by its driver, in configuration space ('flr'), or otherwise ('device'). */
  resets(kind: ResetKind): number {
    return this.#resets[kind];
  }

  /** What host memory holds now; undefined where the client has not mapped it, or not in a way that can be read here. */
  hostMemory(iova: number, sizeBytes: number): Uint8Array | undefined {
    const bytes = new Uint8Array(sizeBytes);
    try {
      const isThere = this.#hostMemory.find(iova)?.bytes !== undefined;
      return isThere && this.#hostAccess.read(iova, bytes) === undefined ? bytes : undefined;
    } catch {
      return undefined;
    }
  }

  /** Calls `listener` after each event, until the function that is returned is called. */
  onEvent(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The card's link goes down, by `sever`. */
  linkDown(sever: () => void): void {
    const { clock } = this.card.inspection;
    clock.enter();
    try {
      this.#recording?.linkDown();
      sever();
    } finally {
      clock.leave();
    }
  }

  /** A declared fault has fired. */
  fault(name: string, what: string): void {
    this.#recording?.fault(name, what);
    this.#ring.addFault(`${name}: ${what}`, this.card.inspection.now());
    this.watcher.fault(name);
    this.touch();
  }

  /** Keeps what somebody who watches the driver has found, for whoever reports on the card. */
  notice(text: string): void {
    this.#recording?.record({ kind: 'notice', text });
    this.#notices.push({ timeNs: this.card.inspection.now(), text });
    if (this.#notices.length > NOTICES) this.#notices.shift();
  }

  /** The last that were found, oldest first. */
  get notices(): readonly Notice[] {
    return this.#notices;
  }

  /** The client is there, or has gone. */
  connection(is: 'connected' | 'disconnected'): void {
    this.#recording?.connection(is);
    this.#add(Kind[is], 0, 0, 0, 0, 0);
  }

  #seamListener(): SeamListener {
    return {
      read: (region, offset, data) => {
        this.#recording?.access('read', region, offset, data);
        this.watcher.read(region);
        this.#add(Kind.read, region, offset, data.length, wordAt(data, 0), wordAt(data, 4));
      },
      write: (region, offset, data) => {
        this.#recording?.access('write', region, offset, data);
        this.watcher.write(region, offset);
        this.#add(Kind.write, region, offset, data.length, wordAt(data, 0), wordAt(data, 4));
      },
      written: this.touch,
      mapping: (mapping) => this.#recording?.map(mapping),
      mapped: (mapping: DmaMapping) => this.#hostMemory.add(mapping),
      unmapping: (iova, sizeBytes) => this.#recording?.unmap(iova, sizeBytes),
      unmapped: (iova, sizeBytes) => void this.#hostMemory.remove(iova, sizeBytes),
      resetting: (isIt) => (this.#clientResets = isIt),
      settingIrqs: (request) => this.#recording?.irqSetup(request),
      connected: (index, start, sinks) => this.#noteConnected(index, start, sinks),
      interrupt: (index, vector) => {
        const counts = (this.#interrupts[index] ??= []);
        counts[vector] = (counts[vector] ?? 0) + 1;
        this.#sawInterrupt('delivered', index, vector);
        this.#add(Kind.interrupt, index, vector, 0, 0, 0);
      },
    };
  }

  #sawInterrupt(phase: InterruptPhase, index: number, vector: number, reason?: HeldReason): void {
    this.#recording?.interrupt(phase, index, vector, reason);
    this.watcher.interrupt(phase, index, vector, reason);
  }

  #noteConnected(index: number, start: number, sinks: readonly (IrqSink | undefined)[]): void {
    if (sinks.length === 0) this.#connected[index] = [];
    const vectors = (this.#connected[index] ??= []);
    sinks.forEach((sink, i) => (vectors[start + i] = sink !== undefined));
  }

  #sawDma(
    access: 'read' | 'write',
    by: DmaInitiator,
    iova: number,
    bytes: Uint8Array,
    error: DmaError | undefined,
    isAsync = false,
  ): void {
    const totals = this.#dma[access];
    if (error) totals.errors++;
    else {
      totals.accesses++;
      totals.bytes += bytes.length;
    }
    this.#recording?.dma(access, by, iova, bytes, error, isAsync);
    this.watcher.dma();
    this.#add(access === 'read' ? DMA_READ : DMA_WRITE, 0, iova, bytes.length, 0, 0, error?.reason);
  }

  #add(
    kind: number,
    index: number,
    address: number,
    sizeBytes: number,
    low: number,
    high: number,
    detail?: EventDetail,
  ): void {
    this.#ring.add(kind, index, address, sizeBytes, low, high, this.card.inspection.now(), detail);
    this.touch();
  }
}

/** Four bytes of an access from `at` on; what lies beyond its end is 0. */
function wordAt(data: Uint8Array, at: number): number {
  const { length } = data;
  if (at >= length) return 0;
  let word = data[at]!;
  if (at + 1 < length) word |= data[at + 1]! << 8;
  if (at + 2 < length) word |= data[at + 2]! << 16;
  if (at + 3 < length) word |= data[at + 3]! << 24;
  return word;
}
