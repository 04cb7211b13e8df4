/**
 * The INTx line of the function: a level, sent to the client as VFIO sends level interrupts.
 *
 * When the line is asserted and not blocked, the client is triggered once, and the vector counts as masked (the client
 * masks it by itself). If the line is still asserted when the client unmasks it, the client is triggered again. Interrupt
 * Disable in the command register blocks the message, not the line: Interrupt Status keeps showing it.
 *
 * VFIO has no message for a line that is deasserted: a client keeps it asserted until it unmasks the vector. The line is
 * stale meanwhile, and whoever serves the card can have the client unmask (`IntxRelease`).
 *
 * Source: PCI Local Bus Spec 3.0, 2.2.6 and 6.2.2 (Interrupt Disable), 6.2.3 (Interrupt Status); PCI Express Base Spec
 * 5.0, 6.1.2; Linux include/uapi/linux/vfio.h, VFIO_IRQ_INFO_AUTOMASKED.
 */
import type { IrqLayout, IrqSink } from '../device';
import type { HeldReason, IrqIndex } from './irq-index';
import { IrqSinks } from './irq-sinks';

export class Intx implements IrqIndex {
  readonly layout: IrqLayout;
  readonly #sinks: IrqSinks;
  readonly #heldBy: () => HeldReason | undefined;
  readonly #onHeld: (reason: HeldReason) => void;
  /** Why the current level has not been sent; reported once. */
  #heldFor: HeldReason | undefined;
  #asserted = false;
  #masked = false;
  /** The client has been triggered and has not unmasked since. */
  #isUpAtClient = false;
  #status = false;
  /** Called when the line has become stale, and when a stale line may be released again after all. */
  onStale: () => void = () => {};

  /**
   * `heldBy` returns what blocks INTx in the function now, if anything ('disabled': not in INTx mode, Interrupt Disable
   * set, not in state D0); `onHeld` is called when the line is asserted and cannot be sent.
   */
  constructor(present: boolean, heldBy: () => HeldReason | undefined, onHeld: (reason: HeldReason) => void) {
    this.layout = { count: present ? 1 : 0, maskable: present, autoMasked: present, noResize: false };
    this.#sinks = new IrqSinks(this.layout.count);
    this.#heldBy = heldBy;
    this.#onHeld = onHeld;
  }

  /** The function has deasserted the line, and the client still has it asserted. */
  get isStale(): boolean {
    return this.#isUpAtClient && !this.#asserted;
  }

  /**
   * Interrupt Status: the interrupt is pending inside the function, whatever becomes of its message on the way. An injected
   * assertion counts: the function is then one that interrupts without a cause.
   */
  get status(): boolean {
    return this.#status || this.#asserted;
  }

  set status(isPending: boolean) {
    this.#status = isPending && this.layout.count > 0;
  }

  setLevel(asserted: boolean): void {
    this.#asserted = asserted && this.layout.count > 0;
    this.update();
  }

  /** Delivers the interrupt if it is asserted and not blocked; to be called whenever a blocking condition changes. */
  update(): void {
    const sink = this.#sinks.at(0);
    const heldFor = this.#asserted ? this.#reason(sink) : undefined;
    const hasChanged = heldFor !== this.#heldFor;
    this.#heldFor = heldFor;
    if (this.isStale) this.onStale();
    if (!this.#asserted) return;
    if (heldFor !== undefined) {
      if (hasChanged) this.#onHeld(heldFor);
      return;
    }
    this.#masked = this.#isUpAtClient = true;
    // Delivery itself masks the vector: normal for a level interrupt, so it is not reported.
    this.#heldFor = 'masked';
    sink!.trigger();
  }

  #reason(sink: IrqSink | undefined): HeldReason | undefined {
    if (this.#masked) return 'masked';
    return this.#heldBy() ?? (sink ? undefined : 'not-connected');
  }

  connect(start: number, sinks: readonly (IrqSink | undefined)[]): void {
    this.#sinks.connect(start, sinks);
    this.#masked = this.#isUpAtClient = false;
    this.update();
  }

  disconnectAll(): void {
    this.#sinks.disconnectAll();
    this.#masked = this.#isUpAtClient = false;
  }

  trigger(vector: number): void {
    this.#sinks.at(vector)?.trigger();
  }

  setMasked(_vector: number, masked: boolean): void {
    this.#masked = masked;
    if (!masked) this.#isUpAtClient = false;
    this.update();
  }
}
