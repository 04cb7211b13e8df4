/** The expansion ROM: its register, its contents, and what is refused. */
import { expect, test } from 'vitest';
import { TestBus } from '../../test/support/pci-bus';
import { ManualClock } from '../clock';
import { PciCard } from './card';
import { Region } from './vfio-layout';

const ROM_REGISTER = 0x30;

class RomCard extends PciCard {
  constructor(...images: Uint8Array[]) {
    super({ vendorId: 0x1234, deviceId: 1, classCode: 0 }, { clock: new ManualClock() });
    for (const image of images) this.expansionRom(image);
  }
}

const image = Uint8Array.from({ length: 3000 }, (_, i) => i % 253);

test('an expansion ROM is a read-only region of the next power of two, with ones behind the image (PCI 6.2.5.2)', () => {
  const card = new RomCard(image);
  expect(card.layout.regions[Region.ROM]).toEqual({ sizeBytes: 4096, readable: true, writable: false });
  const whole = new Uint8Array(4096);
  card.writeRegion(Region.ROM, 0, Uint8Array.of(1, 2, 3, 4));
  card.readRegion(Region.ROM, 0, whole);
  expect(whole.subarray(0, 3000)).toEqual(image);
  expect(whole.subarray(3000).every((byte) => byte === 0xff)).toBe(true);
});

test('its register has the writable bits of its size, and the enable (PCI 6.2.5.2)', () => {
  const bus = new TestBus(new RomCard(image));
  bus.setConfig(ROM_REGISTER, 0xffff_ffff);
  expect(bus.config(ROM_REGISTER)).toBe(0xffff_f001);
  const small = new TestBus(new RomCard(Uint8Array.of(1)));
  small.setConfig(ROM_REGISTER, 0xffff_fffe);
  expect(small.config(ROM_REGISTER)).toBe(0xffff_f800);
});

test('a ROM without contents, or one too many, is refused', () => {
  expect(() => new RomCard(new Uint8Array(0))).toThrow('the expansion ROM is 0 bytes: it must be 1 to 16777216');
  expect(() => new RomCard(image, image)).toThrow('the card has an expansion ROM already: a function has one');
});
