/**
 * One VFIO interrupt index of the function (INTx, MSI, MSI-X, error, request), as SET_IRQS controls it, and the simplest
 * one: a single vector that notifies the client.
 *
 * Source: Linux include/uapi/linux/vfio.h, VFIO_DEVICE_SET_IRQS.
 */
import type { IrqLayout, IrqSink } from '../device';
import { IrqSinks } from './irq-sinks';

/** Why an interrupt is not sent: masked, its mechanism disabled, no sink connected, or bus mastering off. */
export type HeldReason = 'masked' | 'disabled' | 'not-connected' | 'bus-master-off';

export interface IrqIndex {
  readonly layout: IrqLayout;
  connect(start: number, sinks: readonly (IrqSink | undefined)[]): void;
  disconnectAll(): void;
  /** Loopback test: triggers the client's sink for this vector, regardless of masks. */
  trigger(vector: number): void;
  /** Present where `layout.maskable`: the client's own mask. */
  setMasked?(vector: number, masked: boolean): void;
}

/** An index that only notifies the client (of an error, or of a request to release the device): nothing masks it. */
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
