/**
 * The interrupt controller of the in-process host: connects a sink to each vector and counts interrupts.
 *
 * INTx is handled as by a VFIO user: after a trigger the line counts as masked until `unmaskIntx`.
 */
import { type IrqSink, type Device } from '../device';

/** The three mechanisms of PCI interrupts. */
export type InterruptKind = 'intx' | 'msi' | 'msix';
/** VFIO interrupt indexes of a PCI function (include/uapi/linux/vfio.h). */
const irqIndex: Readonly<Record<InterruptKind, number>> = { intx: 0, msi: 1, msix: 2 };

/** The interrupt controller of the in-process host: connects a sink to each vector, and counts. */
export class HostInterrupts {
  #counts: number[] = [];
  #kind: InterruptKind | undefined;
  /** Called for each interrupt that arrives, with its vector. */
  onInterrupt: (vector: number) => void = () => {};

  /** @internal */
  constructor(private readonly device: Device) {}

  /** Connects `vectors` sinks to one kind of interrupt, in place of those connected before; counts start at 0. */
  connect(kind: InterruptKind, vectors = 1): void {
    this.disconnect();
    this.#kind = kind;
    this.#counts = Array.from({ length: vectors }, () => 0);
    const sinks = this.#counts.map((_, vector): IrqSink => ({ trigger: () => this.#arrived(vector), close: () => {} }));
    this.#set({ start: 0, count: vectors, action: { kind: 'sinks', sinks } });
  }

  /** Takes all sinks away: an interrupt then has nowhere to go. */
  disconnect(): void {
    if (this.#kind === undefined) return;
    this.#set({ start: 0, count: 0, action: { kind: 'sinks', sinks: [] } });
    this.#kind = undefined;
  }

  /** Unmasks INTx; it triggers at once if it is still asserted. */
  unmaskIntx(): void {
    this.device.setIrqs({ index: irqIndex.intx, start: 0, count: 1, action: { kind: 'unmask' } });
  }

  /** Interrupts that have arrived on `vector` since it was connected. */
  count(vector = 0): number {
    return this.#counts[vector] ?? 0;
  }

  #arrived(vector: number): void {
    this.#counts[vector]!++;
    this.onInterrupt(vector);
  }

  #set(request: Omit<Parameters<Device['setIrqs']>[0], 'index'>): void {
    this.device.setIrqs({ index: irqIndex[this.#kind!], ...request });
  }
}
