/**
 * The vectors of a message-signalled interrupt capability: which are connected, and which have a message waiting.
 *
 * A message that cannot go out (its vector is masked, not connected, or the function may not write memory now) sets the
 * vector's pending bit, and goes out once when that has passed. MSI and MSI-X differ only in where the masks are.
 *
 * Source: PCI Local Bus Spec 3.0, 6.8.1.10 and 6.8.3.4 (per-vector masking and pending bits).
 */
import type { IrqLayout, IrqSink } from '../vfio-user/device';
import type { IrqIndex } from './irq-index';
import { IrqSinks } from './irq-sinks';

export class MessageVectors implements IrqIndex {
  readonly layout: IrqLayout;
  readonly #sinks: IrqSinks;
  readonly #pending: Uint32Array;
  readonly #maySend: (vector: number) => boolean;
  #pendingCount = 0;

  /** `maySend` says whether the masks and the function's state let a message of this vector out. */
  constructor(count: number, maySend: (vector: number) => boolean) {
    // Never maskable by the client's own request: the masks of MSI and MSI-X are registers of the function.
    this.layout = { count, maskable: false, autoMasked: false, noResize: false };
    this.#sinks = new IrqSinks(count);
    this.#pending = new Uint32Array(Math.ceil(count / 32));
    this.#maySend = maySend;
  }

  /** Raises `vector`: sends its message, or remembers it in the pending bit. */
  signal(vector: number): void {
    const sink = this.#sinks.at(vector);
    if (sink && this.#maySend(vector)) sink.trigger();
    else this.#setPending(vector);
  }

  /** Sends what is pending and no longer held back; to be called whenever a mask or a gate has opened. */
  flush(): void {
    for (let vector = 0; this.#pendingCount > 0 && vector < this.layout.count; vector++) this.flushVector(vector);
  }

  flushVector(vector: number): void {
    if (!this.isPending(vector) || !this.#maySend(vector)) return;
    const sink = this.#sinks.at(vector);
    if (!sink) return;
    this.#clearPending(vector);
    sink.trigger();
  }

  isPending(vector: number): boolean {
    return ((this.#pending[vector >>> 5] ?? 0) & (1 << (vector & 31))) !== 0;
  }

  /** Pending bits of the vectors `32 * index` to `32 * index + 31`, lowest vector in bit 0. */
  pendingWord(index: number): number {
    return this.#pending[index] ?? 0;
  }

  discardPending(): void {
    this.#pending.fill(0);
    this.#pendingCount = 0;
  }

  connect(start: number, sinks: readonly (IrqSink | undefined)[]): void {
    this.#sinks.connect(start, sinks);
    for (let vector = start; vector < start + sinks.length; vector++) this.flushVector(vector);
  }

  disconnectAll(): void {
    this.#sinks.disconnectAll();
  }

  trigger(vector: number): void {
    this.#sinks.at(vector)?.trigger();
  }

  #setPending(vector: number): void {
    if (this.isPending(vector)) return;
    this.#pending[vector >>> 5]! |= 1 << (vector & 31);
    this.#pendingCount++;
  }

  #clearPending(vector: number): void {
    this.#pending[vector >>> 5]! &= ~(1 << (vector & 31));
    this.#pendingCount--;
  }
}
