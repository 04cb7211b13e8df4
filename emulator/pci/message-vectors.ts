/**
 * The vectors of a message-signalled interrupt capability: which are connected, and which have a message pending.
 *
 * A message that cannot be sent (its vector is masked or not connected, or the function may not write memory now) sets
 * the vector's pending bit. It is sent once when the cause is gone. MSI and MSI-X differ only in where the masks are.
 *
 * Source: PCI Local Bus Spec 3.0, 6.8.1.10 and 6.8.3.4 (per-vector masking and pending bits).
 */
import type { IrqLayout, IrqSink } from '../device';
import type { HeldReason, IrqIndex } from './irq-index';
import { IrqSinks } from './irq-sinks';

/** What MSI and MSI-X query of their function, and report to it. */
export interface MessageWiring {
  /** A message is a memory write: Bus Master Enable and power state D0 (PCI Express Base Spec 5.0, 7.5.1.1.3). */
  readonly mayWriteMemory: () => boolean;
  /** Sends a message, on the path to the client. */
  readonly send: (vector: number) => void;
  /** The enable or function mask has been written: blocked interrupts may have to be sent, as messages or as INTx. */
  readonly modeChanged: () => void;
  /** A message of this vector of an interrupt index has been raised and cannot be sent now. */
  readonly held: (index: number, vector: number, reason: HeldReason) => void;
}

export class MessageVectors implements IrqIndex {
  readonly layout: IrqLayout;
  readonly #sinks: IrqSinks;
  readonly #pending: Uint32Array;
  readonly #heldBy: (vector: number) => HeldReason | undefined;
  readonly #onHeld: (vector: number, reason: HeldReason) => void;
  readonly #send: (vector: number) => void;
  #pendingCount = 0;

  /**
   * `heldBy` returns which mask or state of the function blocks messages of this vector, if any; `onHeld` is called when
   * a message is raised that cannot be sent now, `send` to send one.
   */
  constructor(
    count: number,
    heldBy: (vector: number) => HeldReason | undefined,
    onHeld: (vector: number, reason: HeldReason) => void,
    send: (vector: number) => void,
  ) {
    // Not maskable through SET_IRQS: the masks of MSI and MSI-X are registers of the function.
    this.layout = { count, maskable: false, autoMasked: false, noResize: false };
    this.#sinks = new IrqSinks(count);
    this.#pending = new Uint32Array(Math.ceil(count / 32));
    this.#heldBy = heldBy;
    this.#onHeld = onHeld;
    this.#send = send;
  }

  /** Raises `vector`: sends its message, or sets its pending bit. */
  signal(vector: number): void {
    const reason = this.#heldBy(vector) ?? (this.#sinks.at(vector) ? undefined : 'not-connected');
    if (reason === undefined) return this.#send(vector);
    this.#setPending(vector);
    this.#onHeld(vector, reason);
  }

  /** Sends pending messages that are no longer blocked; to be called whenever a mask or another condition is cleared. */
  flush(): void {
    for (let vector = 0; this.#pendingCount > 0 && vector < this.layout.count; vector++) this.flushVector(vector);
  }

  flushVector(vector: number): void {
    if (!this.isPending(vector) || this.#heldBy(vector) !== undefined) return;
    if (!this.#sinks.at(vector)) return;
    this.#clearPending(vector);
    this.#send(vector);
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
