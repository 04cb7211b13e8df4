/**
 * A card as its client drives it: device time does not advance while the card reacts, and every call is published. The
 * client sees no difference.
 */
import { type Device, type DmaMapping, ForwardingDevice, type IrqSink, type ResetCause, type SetIrqs } from '../device';
import { type CardClock } from '../clock';
import { type CardEvents } from './card-events';

export class ObservedDevice extends ForwardingDevice {
  /** How many vectors use each sink of the client: it is closed when the device has released the last. */
  readonly #uses = new Map<IrqSink, number>();
  readonly #connected: boolean[][] = [];

  constructor(
    device: Device,
    private readonly clock: Pick<CardClock, 'enter' | 'leave'>,
    private readonly events: CardEvents,
  ) {
    super(device);
  }

  /** Inserts a stage between the client and all stages inserted before. */
  insert(make: (below: Device) => Device): void {
    this.below = make(this.below);
  }

  /** The vectors of an interrupt index (INTx 0, MSI 1, MSI-X 2) that the client has connected. */
  connectedVectors(index: number): number[] {
    return (this.#connected[index] ?? []).flatMap((connected, vector) => (connected ? [vector] : []));
  }

  /** Published once the device has returned its data. */
  override readRegion(region: number, offset: number, data: Uint8Array): void {
    this.clock.enter();
    try {
      this.below.readRegion(region, offset, data);
      this.events.publish({ kind: 'read', region, offset, data });
    } finally {
      this.clock.leave();
    }
  }

  /** Published before the device acts on it: the cause comes before the effect. */
  override writeRegion(region: number, offset: number, data: Uint8Array): void {
    this.clock.enter();
    try {
      this.events.publish({ kind: 'write', region, offset, data });
      this.below.writeRegion(region, offset, data);
    } finally {
      this.clock.leave();
    }
    this.events.changed();
  }

  override mapDma(mapping: DmaMapping): void {
    const { readable, writable } = mapping;
    this.#withTimeStopped(() => {
      this.events.publish({ kind: 'map', ...numbersOf(mapping.iova, mapping.sizeBytes), readable, writable });
      this.below.mapDma(mapping);
    });
  }

  override unmapDma(iova: bigint, sizeBytes: bigint): readonly DmaMapping[] {
    return this.#withTimeStopped(() => {
      this.events.publish({ kind: 'unmap', ...numbersOf(iova, sizeBytes) });
      return this.below.unmapDma(iova, sizeBytes);
    });
  }

  override setIrqs(request: SetIrqs): void {
    const { index, start, count, action } = request;
    const vectors = action.kind === 'sinks' ? action.sinks.map((sink) => sink !== undefined) : action.vectors;
    this.#withTimeStopped(() => {
      this.events.publish({ kind: 'irq-setup', index, start, count, action: action.kind, ...(vectors && { vectors }) });
      if (action.kind === 'sinks') this.#connect(request, action.sinks);
      else this.below.setIrqs(request);
    });
  }

  override reset(cause?: ResetCause): void {
    this.#withTimeStopped(() => this.below.reset(cause));
  }

  #connect(request: SetIrqs, given: readonly (IrqSink | undefined)[]): void {
    const { index, start } = request;
    const sinks = given.map((sink, i) => sink && this.#observed(sink, index, start + i));
    // The device may close accepted sinks at any time, also in this call; if it refuses, the caller still owns them.
    for (const sink of given) if (sink) this.#uses.set(sink, (this.#uses.get(sink) ?? 0) + 1);
    try {
      this.below.setIrqs({ ...request, action: { kind: 'sinks', sinks } });
    } catch (error) {
      for (const sink of given) if (sink) this.#dropUse(sink);
      throw error;
    }
    if (sinks.length === 0) this.#connected[index] = [];
    const connected = (this.#connected[index] ??= []);
    sinks.forEach((sink, i) => (connected[start + i] = sink !== undefined));
  }

  #withTimeStopped<T>(act: () => T): T {
    this.clock.enter();
    try {
      return act();
    } finally {
      this.clock.leave();
    }
  }

  #observed(sink: IrqSink, index: number, vector: number): IrqSink {
    return {
      trigger: () => {
        this.events.publish({ kind: 'interrupt', phase: 'sent', index, vector });
        sink.trigger();
      },
      close: () => {
        if (this.#dropUse(sink) === 0) sink.close();
      },
    };
  }

  /** Returns how many vectors still use it. */
  #dropUse(sink: IrqSink): number {
    const left = this.#uses.get(sink)! - 1;
    if (left > 0) this.#uses.set(sink, left);
    else this.#uses.delete(sink);
    return left;
  }
}

/** Exact up to 2^53, as for `DmaPort`. */
const numbersOf = (iova: bigint, sizeBytes: bigint) => ({ iova: Number(iova), sizeBytes: Number(sizeBytes) });
