/** A device at the seam that writes down what passes through it: the client sees no difference. */
import { type CardClock } from '../../emulator/clock';
import { type Device, type DmaMapping, ForwardingDevice, type IrqSink, type SetIrqs } from '../../emulator/device';

/** Takes what has been seen. `data` is valid during the call only. */
export interface SeamListener {
  read(region: number, offset: number, data: Uint8Array): void;
  write(region: number, offset: number, data: Uint8Array): void;
  /** The device has acted on the write. */
  written(): void;
  /** About to be done; it may still be refused. */
  mapping(mapping: DmaMapping): void;
  mapped(mapping: DmaMapping): void;
  unmapping(iova: bigint, sizeBytes: bigint): void;
  unmapped(iova: bigint, sizeBytes: bigint): void;
  settingIrqs(request: SetIrqs): void;
  /** The client's reset of the device begins, and has ended. */
  resetting(isIt: boolean): void;
  /** The client has connected these vectors of an interrupt index, or, with `count` 0, disconnected all. */
  connected(index: number, start: number, sinks: readonly (IrqSink | undefined)[]): void;
  interrupt(index: number, vector: number): void;
}

/** What is asked of the clock of the card behind the device: to stand still while the device reacts. */
type Stillness = Pick<CardClock, 'enter' | 'leave'>;

export class TracedDevice extends ForwardingDevice {
  /** How many vectors each sink of the client serves: it is closed when the device has let go of the last. */
  readonly #uses = new Map<IrqSink, number>();

  constructor(
    device: Device,
    private readonly clock: Stillness,
    private readonly listener: SeamListener,
    hidesBarMappings?: () => boolean,
  ) {
    super(device, hidesBarMappings);
  }

  /** Written down once it is known what the device drives. */
  override readRegion(region: number, offset: number, data: Uint8Array): void {
    this.clock.enter();
    try {
      this.below.readRegion(region, offset, data);
      this.listener.read(region, offset, data);
    } finally {
      this.clock.leave();
    }
  }

  /** Written down before the device acts on it: cause goes before effect. */
  override writeRegion(region: number, offset: number, data: Uint8Array): void {
    this.clock.enter();
    try {
      this.listener.write(region, offset, data);
      this.below.writeRegion(region, offset, data);
    } finally {
      this.clock.leave();
    }
    this.listener.written();
  }

  override mapDma(mapping: DmaMapping): void {
    this.#whileStill(() => {
      this.listener.mapping(mapping);
      this.below.mapDma(mapping);
    });
    this.listener.mapped(mapping);
  }

  override unmapDma(iova: bigint, sizeBytes: bigint): readonly DmaMapping[] {
    const removed = this.#whileStill(() => {
      this.listener.unmapping(iova, sizeBytes);
      return this.below.unmapDma(iova, sizeBytes);
    });
    this.listener.unmapped(iova, sizeBytes);
    return removed;
  }

  override setIrqs(request: SetIrqs): void {
    this.#whileStill(() => {
      this.listener.settingIrqs(request);
      if (request.action.kind === 'sinks') this.#connect(request, request.action.sinks);
      else this.below.setIrqs(request);
    });
  }

  override reset(): void {
    this.#whileStill(() => {
      this.listener.resetting(true);
      try {
        this.below.reset();
      } finally {
        this.listener.resetting(false);
      }
    });
  }

  #connect(request: SetIrqs, given: readonly (IrqSink | undefined)[]): void {
    const { index, start } = request;
    const sinks = given.map((sink, i) => sink && this.#traced(sink, index, start + i));
    // Once the device has them it may close them at any time, in this call too; when it refuses they stay the caller's.
    for (const sink of given) if (sink) this.#uses.set(sink, (this.#uses.get(sink) ?? 0) + 1);
    try {
      this.below.setIrqs({ ...request, action: { kind: 'sinks', sinks } });
    } catch (error) {
      for (const sink of given) if (sink) this.#dropUse(sink);
      throw error;
    }
    this.listener.connected(index, start, sinks);
  }

  #whileStill<T>(act: () => T): T {
    this.clock.enter();
    try {
      return act();
    } finally {
      this.clock.leave();
    }
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
