import { expect, test } from 'vitest';
import { COMMAND, DEVICE_CONTROL, MEMORY_SPACE, TestBus } from '../../test/support/pci-bus';
import { ManualClock } from '../clock';
import { PciCard } from './card';
import { ErrorPath } from './error-path';
import { CONFIG_SIZE_BYTES, Region } from './vfio-layout';

class PathCard extends PciCard {
  constructor() {
    super({ vendorId: 0x1234, deviceId: 0x4772, classCode: 0x12_00_00 }, { clock: new ManualClock() });
  }
}

function setUp() {
  const card = new PathCard();
  const path = new ErrorPath(card, card);
  return { card, path, bus: new TestBus(path) };
}

test('the read of all of configuration space finds error reporting enabled, and no other does', () => {
  const { card, path, bus } = setUp();
  const [copy, own] = [new Uint8Array(CONFIG_SIZE_BYTES), new Uint8Array(CONFIG_SIZE_BYTES)];
  path.readRegion(Region.CONFIG, 0, copy);
  card.readRegion(Region.CONFIG, 0, own);
  expect(copy[DEVICE_CONTROL]! ^ own[DEVICE_CONTROL]!).toBe(0xf);
  own[DEVICE_CONTROL] = copy[DEVICE_CONTROL]!;
  expect(copy).toEqual(own);
  expect(bus.config(DEVICE_CONTROL, 2) & 0xf).toBe(0);
});

test('SERR# Enable is written before a message and restored after it, and the card sees neither', async () => {
  const { card, path, bus } = setUp();
  bus.command(MEMORY_SPACE);
  const seen: (number | string)[] = [];
  const writeCommand = async (value: number) => {
    bus.setConfig(COMMAND, value, 2);
    seen.push(value, new TestBus(card).config(COMMAND, 2));
  };
  await path.whileEnabled(writeCommand, async () => void seen.push('sent'));
  expect(seen).toEqual([0x102, MEMORY_SPACE, 'sent', MEMORY_SPACE, MEMORY_SPACE]);
  bus.command(0);
  expect(bus.config(COMMAND, 2)).toBe(0);
});

test('writes reach the card again when a message could not be sent', async () => {
  const { path, bus } = setUp();
  const fail = () => Promise.reject(new Error('refused'));
  await expect(path.whileEnabled(async () => {}, fail)).rejects.toThrow('refused');
  bus.command(MEMORY_SPACE);
  expect(bus.config(COMMAND, 2)).toBe(MEMORY_SPACE);
});
