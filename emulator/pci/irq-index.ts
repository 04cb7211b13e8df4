/**
 * One VFIO interrupt index of the function (INTx, MSI, MSI-X, error, request), as SET_IRQS acts on it, and the simplest
 * of them: a single vector that only notifies.
 *
 * Source: Linux include/uapi/linux/vfio.h, VFIO_DEVICE_SET_IRQS.
 */
import type { IrqLayout, IrqSink } from '../device';
import { IrqSinks } from './irq-sinks';

/** Why an interrupt cannot go out: its vector (or all) is masked, its mechanism is not enabled, nobody listens, or DMA is off. */
export type HeldReason = 'masked' | 'disabled' | 'not-connected' | 'bus-master-off';

export interface IrqIndex {
  readonly layout: IrqLayout;
  connect(start: number, sinks: readonly (IrqSink | undefined)[]): void;
  disconnectAll(): void;
  /** Loopback test: what the client would see if the device raised this vector now, whatever masks it. */
  trigger(vector: number): void;
  /** Present where `layout.maskable`: the client's own mask. */
  setMasked?(vector: number, masked: boolean): void;
}

/** An index that only tells the client something (an error, a wish to have the device back): nothing masks it. */
export class Notification implements IrqIndex {
  readonly layout: IrqLayout = { count: 1, maskable: false, autoMasked: false, noResize: false };
  readonly #sinks = new IrqSinks(1);

  connect(start: number, sinks: readonly (IrqSink | undefined)[]): void {
    this.#sinks.connect(start, sinks);
  }

  disconnectAll(): void {
    this.#sinks.disconnectAll();
  }

  trigger(): void {
    this.#sinks.at(0)?.trigger();
  }
}
