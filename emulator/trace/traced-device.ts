/** A device at the seam that writes down what passes through it: the client sees no difference. */
import {
  type DeviceLayout,
  type DmaMapping,
  type IrqSink,
  type SetIrqs,
  type VfioUserDevice,
} from '../vfio-user/device';

/** Takes what has been seen. `data` is valid during the call only. */
export interface SeamListener {
  read(region: number, offset: number, data: Uint8Array): void;
  write(region: number, offset: number, data: Uint8Array): void;
  /** The device has acted on the write. */
  written(): void;
  mapped(mapping: DmaMapping): void;
  unmapped(iova: bigint, sizeBytes: bigint): void;
  /** The client has connected these vectors of an interrupt index, or, with `count` 0, disconnected all. */
  connected(index: number, start: number, sinks: readonly (IrqSink | undefined)[]): void;
  interrupt(index: number, vector: number): void;
}

export class TracedDevice implements VfioUserDevice {
  /** How many vectors each sink of the client serves: it is closed when the device has let go of the last. */
  readonly #uses = new Map<IrqSink, number>();

  constructor(
    private readonly device: VfioUserDevice,
    private readonly listener: SeamListener,
  ) {}

  get layout(): DeviceLayout {
    return this.device.layout;
  }

  /** Written down once it is known what the device drives. */
  readRegion(region: number, offset: number, data: Uint8Array): void {
    this.device.readRegion(region, offset, data);
    this.listener.read(region, offset, data);
  }

  /** Written down before the device acts on it: cause goes before effect. */
  writeRegion(region: number, offset: number, data: Uint8Array): void {
    this.listener.write(region, offset, data);
    this.device.writeRegion(region, offset, data);
    this.listener.written();
  }

  mapDma(mapping: DmaMapping): void {
    this.device.mapDma(mapping);
    this.listener.mapped(mapping);
  }

  unmapDma(iova: bigint, sizeBytes: bigint): readonly DmaMapping[] {
    const removed = this.device.unmapDma(iova, sizeBytes);
    this.listener.unmapped(iova, sizeBytes);
    return removed;
  }

  setIrqs(request: SetIrqs): void {
    const { index, start, action } = request;
    if (action.kind !== 'sinks') return this.device.setIrqs(request);
    const sinks = action.sinks.map((sink, i) => sink && this.#traced(sink, index, start + i));
    // Once the device has them it may close them at any time, in this call too; when it refuses they stay the caller's.
    for (const sink of action.sinks) if (sink) this.#uses.set(sink, (this.#uses.get(sink) ?? 0) + 1);
    try {
      this.device.setIrqs({ ...request, action: { kind: 'sinks', sinks } });
    } catch (error) {
      for (const sink of action.sinks) if (sink) this.#dropUse(sink);
      throw error;
    }
    this.listener.connected(index, start, sinks);
  }

  reset(): void {
    this.device.reset();
  }

  #traced(sink: IrqSink, index: number, vector: number): IrqSink {
    return {
      trigger: () => {
        this.listener.interrupt(index, vector);
        sink.trigger();
      },
      close: () => {
        if (this.#dropUse(sink) === 0) sink.close();
      },
    };
  }

  /** Returns how many uses are left. */
  #dropUse(sink: IrqSink): number {
    const left = this.#uses.get(sink)! - 1;
    if (left > 0) this.#uses.set(sink, left);
    else this.#uses.delete(sink);
    return left;
  }
}
