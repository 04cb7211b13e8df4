import { expect, test } from 'vitest';
import { ReferenceCard } from '../../emulator/cards/reference';
import { ManualClock } from '../../emulator/clock';
import { Region } from '../../emulator/pci';
import { SlotLink } from './slot-link';

/** The first 16 bytes of configuration space. */
function header(link: SlotLink): string {
  const data = new Uint8Array(16);
  link.readRegion(Region.CONFIG, 0, data);
  return Buffer.from(data).toString('hex');
}

test('a card whose link is down reads as all ones, also after a reset (PCIe 2.3.1)', () => {
  const link = new SlotLink(new ReferenceCard({ clock: new ManualClock() }));
  link.goDown();
  link.reset();
  expect(header(link)).toBe('f'.repeat(32));
});

test('a card that is being removed reads 0 as Command and Status, which a reset of Linux waits for', () => {
  const link = new SlotLink(new ReferenceCard({ clock: new ManualClock() }));
  link.goDown();
  link.leave();
  expect(header(link)).toBe(`${'f'.repeat(8)}${'0'.repeat(8)}${'f'.repeat(16)}`);
  const status = new Uint8Array(2);
  link.readRegion(Region.CONFIG, 6, status);
  expect([...status]).toEqual([0, 0]);
});
