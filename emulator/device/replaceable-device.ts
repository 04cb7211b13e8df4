/**
 * A device whose place another can take without the client noticing a change: the next one gets the client's DMA
 * mappings and connected interrupts. Both must have the same layout.
 */
import { type Device, type DmaMapping, type IrqSink, type SetIrqs } from './device';
import { ForwardingDevice } from './forwarding-device';

export class ReplaceableDevice extends ForwardingDevice {
  /** By interrupt index and vector. */
  readonly #sinks: (SharedSink | undefined)[][] = [];

  override setIrqs(request: SetIrqs): void {
    const { index, start, action } = request;
    if (action.kind !== 'sinks') return super.setIrqs(request);
    const sinks = action.sinks.map((sink) => sink && new SharedSink(sink));
    super.setIrqs({ ...request, action: { kind: 'sinks', sinks } });
    const kept = (this.#sinks[index] ??= []);
    if (request.count === 0) kept.length = 0;
    sinks.forEach((sink, i) => (kept[start + i] = sink));
  }

  /** Puts `next` in the place of the present device, which is left without mappings and interrupts. */
  replaceBy(next: Device): void {
    const previous = this.below;
    this.below = next;
    const mappings: readonly DmaMapping[] = previous.unmapDma(0n, 1n << 64n);
    for (const mapping of mappings) next.mapDma(mapping);
    this.#sinks.forEach((kept, index) => {
      const sinks = Array.from(kept, (sink) => sink?.share());
      if (sinks.length > 0) next.setIrqs({ index, start: 0, count: sinks.length, action: { kind: 'sinks', sinks } });
      previous.setIrqs({ index, start: 0, count: 0, action: { kind: 'sinks', sinks: [] } });
    });
  }
}

/** A client's sink, which is closed when the last device that has it has released it. */
class SharedSink implements IrqSink {
  #holders = 1;

  constructor(private readonly sink: IrqSink) {}

  /** For another device. Undefined if it is closed. */
  share(): SharedSink | undefined {
    if (this.#holders === 0) return undefined;
    this.#holders++;
    return this;
  }

  trigger(): void {
    this.sink.trigger();
  }

  close(): void {
    if (--this.#holders === 0) this.sink.close();
  }
}
