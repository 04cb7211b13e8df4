/**
 * The last events of a card, in columns of numbers: adding one allocates nothing. An event that equals the one before it
 * (a driver that polls) only counts up, so that a loop does not push out what led to it. Texts are for what is rare.
 */
import { type DmaErrorReason } from '../../emulator/memory';
import { type ResetKind } from '../../emulator/pci';

const KINDS = [
  ...(['read', 'write', 'dma-read', 'dma-write', 'interrupt', 'reset', 'connected', 'disconnected'] as const),
  'fault',
] as const;
export type EventKind = (typeof KINDS)[number];

/** Codes of the kinds, for `add`. */
export const Kind = Object.fromEntries(KINDS.map((kind, code) => [kind, code])) as Record<EventKind, number>;

/** What `detail` of an event may say: why a DMA access failed, or which reset it was. */
const DETAILS = [
  undefined,
  ...(['unmapped', 'not-readable', 'not-writable', 'bus-master-off', 'beyond-address-bits'] as const),
  ...(['client-error', 'view-full', 'reset', 'flr', 'device'] as const),
] as const;
export type EventDetail = DmaErrorReason | ResetKind;
const codeOfDetail = new Map(DETAILS.map((detail, code) => [detail as EventDetail | undefined, code]));

export interface RecentEvent {
  /** Counts the events of the card from 0. */
  readonly sequence: number;
  readonly kind: EventKind;
  /** VFIO region of an access (BARs 0 to 5, configuration space 7), or interrupt index (INTx 0, MSI 1, MSI-X 2). */
  readonly index: number;
  /** Offset in the region, address in host memory, or interrupt vector. */
  readonly address: number;
  readonly sizeBytes: number;
  /** What was read or written, little-endian: the first eight bytes; 0 for DMA. */
  readonly value: bigint;
  /** Device time of the first of them. */
  readonly timeNs: number;
  /** How often it happened in a row. */
  readonly times: number;
  readonly detail: EventDetail | undefined;
  /** Of a fault: its name, and what it did. */
  readonly text: string | undefined;
}

export class EventRing {
  readonly #kinds: Uint8Array;
  readonly #indexes: Uint8Array;
  readonly #details: Uint8Array;
  readonly #sizes: Uint32Array;
  readonly #low: Uint32Array;
  readonly #high: Uint32Array;
  readonly #repeats: Uint32Array;
  readonly #addresses: Float64Array;
  readonly #times: Float64Array;
  /** By place in the ring, of the events that have one. */
  readonly #texts = new Map<number, string>();
  #next = 0;

  constructor(readonly capacity: number) {
    const bytes = () => new Uint8Array(capacity);
    const words = () => new Uint32Array(capacity);
    const numbers = () => new Float64Array(capacity);
    [this.#kinds, this.#indexes, this.#details] = [bytes(), bytes(), bytes()];
    [this.#sizes, this.#low, this.#high, this.#repeats] = [words(), words(), words(), words()];
    [this.#addresses, this.#times] = [numbers(), numbers()];
  }

  /** `kind` is a code of `Kind`; `low` and `high` are the words of the value. */
  add(
    kind: number,
    index: number,
    address: number,
    sizeBytes: number,
    low: number,
    high: number,
    timeNs: number,
    detail?: EventDetail,
  ): void {
    const detailCode = detail === undefined ? 0 : codeOfDetail.get(detail)!;
    const last = (this.#next - 1) % this.capacity;
    if (
      this.#next > 0 &&
      this.#addresses[last] === address &&
      this.#low[last] === low >>> 0 &&
      this.#high[last] === high >>> 0 &&
      this.#kinds[last] === kind &&
      this.#indexes[last] === index &&
      this.#sizes[last] === sizeBytes &&
      this.#details[last] === detailCode
    ) {
      this.#repeats[last]!++;
      return;
    }
    const at = this.#next++ % this.capacity;
    if (this.#texts.size > 0) this.#texts.delete(at);
    this.#kinds[at] = kind;
    this.#indexes[at] = index;
    this.#details[at] = detailCode;
    this.#sizes[at] = sizeBytes;
    this.#low[at] = low;
    this.#high[at] = high;
    this.#repeats[at] = 1;
    this.#addresses[at] = address;
    this.#times[at] = timeNs;
  }

  addFault(text: string, timeNs: number): void {
    const last = (this.#next - 1) % this.capacity;
    if (this.#texts.get(last) === text) this.#repeats[last]!++;
    else {
      // No two in a row have the same number, and are taken for the same.
      this.add(Kind.fault, 0, this.#next, 0, 0, 0, timeNs);
      this.#texts.set((this.#next - 1) % this.capacity, text);
    }
  }

  /** How many events lie in the ring. */
  get length(): number {
    return Math.min(this.#next, this.capacity);
  }

  /** How many there were before those in the ring. */
  get forgotten(): number {
    return this.#next - this.length;
  }

  /** From the last event back to the oldest that is kept. */
  *newestFirst(): Generator<RecentEvent> {
    const end = this.#next;
    for (let sequence = end - 1; sequence >= Math.max(0, end - this.capacity); sequence--) yield this.#at(sequence);
  }

  #at(sequence: number): RecentEvent {
    const at = sequence % this.capacity;
    return {
      sequence,
      kind: KINDS[this.#kinds[at]!]!,
      index: this.#indexes[at]!,
      address: this.#addresses[at]!,
      sizeBytes: this.#sizes[at]!,
      value: (BigInt(this.#high[at]!) << 32n) | BigInt(this.#low[at]!),
      timeNs: this.#times[at]!,
      times: this.#repeats[at]!,
      detail: DETAILS[this.#details[at]!],
      text: this.#texts.get(at),
    };
  }
}
