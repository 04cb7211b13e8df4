import { expect, it } from 'vitest';
import { ManualClock } from '../../emulator/clock';
import { PciCard } from '../../emulator/pci';
import { requireRoom } from './bar-room';

const GIB = 2 ** 30;

class LargeCard extends PciCard {
  constructor(sizeBytes: number, prefetchable = true) {
    super({ vendorId: 0x1234, deviceId: 1, classCode: 0x12_00_00 }, { clock: new ManualClock() });
    this.memoryBar(2, sizeBytes, { prefetchable });
  }
}

const check =
  (card: PciCard, start: 'warm' | 'cold' = 'warm') =>
  () =>
    requireRoom('large', [card], { slots: 8, start });

it('a card with a BAR of 8 GiB has room in a slot of a running guest', () => {
  expect(check(new LargeCard(8 * GIB))).not.toThrow();
  expect(check(new LargeCard(16 * GIB))).not.toThrow();
});

it('a larger one is refused with the limit, and sent to a boot where that makes room', () => {
  expect(check(new LargeCard(32 * GIB))).toThrow(
    "it has 32 GiB of 64-bit prefetchable BARs, and a slot of a running guest has room for 16 GiB. Start the guest with the card in it (--cold, start: 'cold'): then there is room for 64 GiB.",
  );
  expect(check(new LargeCard(64 * GIB), 'cold')).not.toThrow();
  expect(check(new LargeCard(512 * GIB), 'cold')).toThrow('a guest that boots with it has room for 64 GiB');
});

it('a BAR of 8 GiB that is not prefetchable is refused, because it must lie below 4 GiB', () => {
  expect(check(new LargeCard(8 * GIB, false))).toThrow('its BAR 2 has 8 GiB and is not 64-bit and prefetchable');
});
