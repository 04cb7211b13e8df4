/**
 * The last events of a card. One that equals the one before it (a driver that polls) only counts up, so that a loop does
 * not push out what led to it.
 *
 * Register accesses, which are most events, lie in columns of numbers, by hand: adding one allocates nothing and copies
 * at most eight bytes. Everything else is kept as the event that it is; a DMA event has no payload any more when it has
 * been published.
 */
import { type AccessEvent, BAR_COUNT, type CardEvent, type DmaEvent } from '../../emulator/pci';
import { type Origin } from './event';

export type RecentEvent = CardEvent & {
  /** Counts the events of the card from 0. */
  readonly sequence: number;
  /** Device time of the first of them. */
  readonly timeNs: number;
  /** How often it happened in a row. */
  readonly times: number;
  /** Of an access: who did it last, if that is known. */
  readonly origin?: Origin;
};

/** Beside accesses and DMA, what is worth keeping of a card when a test has failed; of interrupts, those sent. */
const KEPT: ReadonlySet<CardEvent['kind']> = new Set([
  ...(['interrupt', 'reset', 'connected', 'disconnected', 'fault'] as const),
]);
/** Bytes of an access that are kept. */
const VALUE_BYTES = 8;

export class EventRing {
  /** Undefined where an access is, which lies in the columns. */
  readonly #events: (CardEvent | undefined)[];
  readonly #isWrite: Uint8Array;
  readonly #regions: Uint8Array;
  readonly #sizes: Uint32Array;
  readonly #low: Uint32Array;
  readonly #high: Uint32Array;
  readonly #offsets: Float64Array;
  readonly #repeats: Uint32Array;
  readonly #times: Float64Array;
  readonly #origins: (Origin | undefined)[];
  #next = 0;
  /** The last access of a BAR. */
  #lastAccess = -Infinity;

  constructor(readonly capacity: number) {
    const bytes = () => new Uint8Array(capacity);
    const words = () => new Uint32Array(capacity);
    const numbers = () => new Float64Array(capacity);
    this.#events = new Array<CardEvent | undefined>(capacity).fill(undefined);
    this.#origins = new Array<Origin | undefined>(capacity).fill(undefined);
    [this.#isWrite, this.#regions] = [bytes(), bytes()];
    [this.#sizes, this.#low, this.#high, this.#repeats] = [words(), words(), words(), words()];
    [this.#offsets, this.#times] = [numbers(), numbers()];
  }

  /** Takes an event; what it holds is copied. */
  add(event: CardEvent, timeNs: number): void {
    if (event.kind === 'read' || event.kind === 'write') this.#addAccess(event, timeNs);
    else if (isDma(event)) this.#keep(event, timeNs, isSameDma);
    else if (KEPT.has(event.kind) && (event.kind !== 'interrupt' || event.phase === 'sent')) {
      this.#keep(event, timeNs, isSame);
    }
  }

  /** Takes who did the last access of a BAR. */
  addOrigin(origin: Origin): void {
    if (this.#lastAccess >= this.#next - this.capacity) this.#origins[this.#lastAccess % this.capacity] = origin;
  }

  /** How many events lie in the ring. */
  get length(): number {
    return Math.min(this.#next, this.capacity);
  }

  /** How many there were before those in the ring. */
  get forgotten(): number {
    return this.#next - this.length;
  }

  /** From the last event back to the oldest that is kept. Of an access, bytes beyond the first eight are 0. */
  *newestFirst(): Generator<RecentEvent> {
    const end = this.#next;
    for (let sequence = end - 1; sequence >= Math.max(0, end - this.capacity); sequence--) yield this.#at(sequence);
  }

  #addAccess({ kind, region, offset, data }: AccessEvent, timeNs: number): void {
    const isWrite = kind === 'write' ? 1 : 0;
    const low = wordAt(data, 0);
    const high = wordAt(data, 4);
    const last = (this.#next - 1) % this.capacity;
    if (
      this.#next > 0 &&
      this.#offsets[last] === offset &&
      this.#low[last] === low &&
      this.#high[last] === high &&
      this.#isWrite[last] === isWrite &&
      this.#regions[last] === region &&
      this.#sizes[last] === data.length &&
      this.#events[last] === undefined
    ) {
      this.#repeats[last]!++;
      return;
    }
    const at = this.#place(timeNs);
    if (region < BAR_COUNT) this.#lastAccess = this.#next - 1;
    this.#events[at] = undefined;
    this.#isWrite[at] = isWrite;
    this.#regions[at] = region;
    this.#sizes[at] = data.length;
    this.#low[at] = low;
    this.#high[at] = high;
    this.#offsets[at] = offset;
  }

  #keep<E extends CardEvent>(event: E, timeNs: number, isSame: (one: E, other: CardEvent) => boolean): void {
    const last = (this.#next - 1) % this.capacity;
    const before = last < 0 ? undefined : this.#events[last];
    if (before !== undefined && isSame(event, before)) this.#repeats[last]!++;
    else this.#events[this.#place(timeNs)] = event;
  }

  #place(timeNs: number): number {
    const at = this.#next++ % this.capacity;
    this.#repeats[at] = 1;
    this.#times[at] = timeNs;
    this.#origins[at] = undefined;
    return at;
  }

  #at(sequence: number): RecentEvent {
    const at = sequence % this.capacity;
    const recent = { sequence, timeNs: this.#times[at]!, times: this.#repeats[at]! };
    const event = this.#events[at];
    if (event !== undefined) return { ...event, ...recent };
    const origin = this.#origins[at];
    const data = new Uint8Array(this.#sizes[at]!);
    const value = new DataView(new ArrayBuffer(VALUE_BYTES));
    value.setUint32(0, this.#low[at]!, true);
    value.setUint32(4, this.#high[at]!, true);
    data.set(new Uint8Array(value.buffer, 0, Math.min(data.length, VALUE_BYTES)));
    const kind = this.#isWrite[at] === 1 ? 'write' : 'read';
    return { kind, region: this.#regions[at]!, offset: this.#offsets[at]!, data, ...recent, ...(origin && { origin }) };
  }
}

/** Whether two events say the same. */
function isSame(one: CardEvent, other: CardEvent): boolean {
  return Object.entries(one).every(([key, value]) => other[key as keyof CardEvent] === value);
}

/** The same for DMA, by hand, as this is part of every descriptor. Payloads aside. */
function isSameDma(one: DmaEvent, other: CardEvent): boolean {
  return (
    isDma(other) &&
    one.iova === other.iova &&
    one.kind === other.kind &&
    one.sizeBytes === other.sizeBytes &&
    one.channel === other.channel &&
    one.role === other.role &&
    one.error === other.error
  );
}

export function isDma<E extends CardEvent>(event: E): event is Extract<E, { kind: 'dma-read' | 'dma-write' }> {
  return event.kind === 'dma-read' || event.kind === 'dma-write';
}

/** Four bytes of an access from `at` on; what lies beyond its end is 0. */
function wordAt(data: Uint8Array, at: number): number {
  const { length } = data;
  if (at >= length) return 0;
  let word = data[at]!;
  if (at + 1 < length) word |= data[at + 1]! << 8;
  if (at + 2 < length) word |= data[at + 2]! << 16;
  if (at + 3 < length) word |= data[at + 3]! << 24;
  return word >>> 0;
}
