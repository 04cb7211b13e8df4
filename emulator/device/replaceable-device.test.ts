import { expect, it, vi } from 'vitest';
import { type Device, type DmaMapping, type IrqSink, type SetIrqs } from './device';
import { ReplaceableDevice } from './replaceable-device';

/** Keeps what it is given; a sink that is disconnected is closed, as the interface demands. */
class Plain implements Device {
  readonly layout = { resettable: true, regions: [], irqs: [] };
  mappings: DmaMapping[] = [];
  sinks: (IrqSink | undefined)[] = [];
  readRegion(_region: number, _offset: number, data: Uint8Array): void {
    data.fill(this.value);
  }
  writeRegion(): void {}
  reset(): void {}
  constructor(readonly value = 0) {}
  mapDma(mapping: DmaMapping): void {
    this.mappings.push(mapping);
  }
  unmapDma(): readonly DmaMapping[] {
    return this.mappings.splice(0);
  }
  setIrqs({ start, count, action }: SetIrqs): void {
    if (action.kind !== 'sinks') return;
    if (count === 0) this.sinks.splice(0).forEach((sink) => sink?.close());
    action.sinks.forEach((sink, i) => {
      this.sinks[start + i]?.close();
      this.sinks[start + i] = sink;
    });
  }
}

const sink = () => ({ trigger: vi.fn(), close: vi.fn() });
const connect = (device: Device, start: number, sinks: readonly (IrqSink | undefined)[]) =>
  device.setIrqs({ index: 2, start, count: sinks.length, action: { kind: 'sinks', sinks } });

it('the next device in the place of another has its mappings and interrupts, and each sink is closed once', () => {
  const [first, second] = [new Plain(1), new Plain(2)];
  const place = new ReplaceableDevice(first);
  const mapping = { iova: 0n, sizeBytes: 4096n, readable: true, writable: true, backing: { kind: 'none' } } as const;
  const [kept, dropped] = [sink(), sink()];
  place.mapDma(mapping);
  connect(place, 0, [kept, dropped]);
  connect(place, 1, [undefined]);
  expect(dropped.close).toHaveBeenCalledTimes(1);

  place.replaceBy(second);
  expect([first.mappings, first.sinks]).toEqual([[], []]);
  expect(second.mappings).toEqual([mapping]);
  expect(kept.close).not.toHaveBeenCalled();
  second.sinks[0]!.trigger();
  expect(kept.trigger).toHaveBeenCalledTimes(1);
  const data = new Uint8Array(1);
  place.readRegion(0, 0, data);
  expect(data[0]).toBe(2);

  connect(place, 0, []);
  expect(kept.close).toHaveBeenCalledTimes(1);
  expect(dropped.close).toHaveBeenCalledTimes(1);
});
