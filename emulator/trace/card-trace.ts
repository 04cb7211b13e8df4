/**
 * What has happened to a card, for people who want to know why a test failed: its last events in a ring, and totals of
 * what interrupts and DMA it has done. `traceOf(card)` is there for every card that a host drives; whoever drives one
 * does it through `trace.device`, which is the card with a listener at the seam.
 */
import { AddressMap, DmaAccess, type DmaError } from '../memory';
import { type PciCard, type ResetKind } from '../pci';
import { type DmaMapping, type IrqSink, type VfioUserDevice } from '../vfio-user/device';
import { type EventDetail, EventRing, Kind, type TraceEvent } from './event-ring';
import { type SeamListener, TracedDevice } from './traced-device';

const DMA_READ = Kind['dma-read'];
const DMA_WRITE = Kind['dma-write'];
/** Events kept. */
const CAPACITY = 4096;

export interface DmaTotals {
  readonly accesses: number;
  readonly bytes: number;
  readonly errors: number;
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
  readonly device: VfioUserDevice;
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
  /** Time of the last event: none is before it. */
  #lastNs = 0;
  readonly #hostMemory = new AddressMap();
  readonly #hostAccess = new DmaAccess(this.#hostMemory, () => true);

  /** Use `traceOf`. */
  constructor(readonly card: PciCard) {
    this.device = this.around(card);
    card.inspection.observer = {
      dma: (access, iova, sizeBytes, error) => this.#sawDma(access, iova, sizeBytes, error),
      reset: (kind) => {
        this.#resets[kind]++;
        this.#add(Kind.reset, 0, 0, 0, 0, 0, kind);
      },
    };
  }

  /** The same for a device that stands between the client and the card. */
  around(device: VfioUserDevice): VfioUserDevice {
    return new TracedDevice(device, this.#seamListener());
  }

  /** How many events the ring has lost to newer ones. */
  get forgotten(): number {
    return this.#ring.forgotten;
  }

  /** From the last event back. */
  newestFirst(): Generator<TraceEvent> {
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

  /** The client is there, or has gone. */
  connection(is: 'connected' | 'disconnected'): void {
    this.#add(Kind[is], 0, 0, 0, 0, 0);
  }

  #seamListener(): SeamListener {
    return {
      read: (region, offset, data) =>
        this.#add(Kind.read, region, offset, data.length, wordAt(data, 0), wordAt(data, 4)),
      write: (region, offset, data) =>
        this.#add(Kind.write, region, offset, data.length, wordAt(data, 0), wordAt(data, 4)),
      written: this.touch,
      mapped: (mapping: DmaMapping) => this.#hostMemory.add(mapping),
      unmapped: (iova, sizeBytes) => void this.#hostMemory.remove(iova, sizeBytes),
      connected: (index, start, sinks) => this.#noteConnected(index, start, sinks),
      interrupt: (index, vector) => {
        const counts = (this.#interrupts[index] ??= []);
        counts[vector] = (counts[vector] ?? 0) + 1;
        this.#add(Kind.interrupt, index, vector, 0, 0, 0);
      },
    };
  }

  #noteConnected(index: number, start: number, sinks: readonly (IrqSink | undefined)[]): void {
    if (sinks.length === 0) this.#connected[index] = [];
    const vectors = (this.#connected[index] ??= []);
    sinks.forEach((sink, i) => (vectors[start + i] = sink !== undefined));
  }

  #sawDma(access: 'read' | 'write', iova: number, sizeBytes: number, error: DmaError | undefined): void {
    const totals = this.#dma[access];
    if (error) totals.errors++;
    else {
      totals.accesses++;
      totals.bytes += sizeBytes;
    }
    this.#add(access === 'read' ? DMA_READ : DMA_WRITE, 0, iova, sizeBytes, 0, 0, error?.reason);
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
    const { inspection } = this.card;
    const isDma = kind === DMA_READ || kind === DMA_WRITE;
    this.#lastNs = isDma ? Math.max(this.#lastNs, inspection.stamp()) : inspection.now();
    this.#ring.add(kind, index, address, sizeBytes, low, high, this.#lastNs, detail);
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
