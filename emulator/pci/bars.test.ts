import { describe, expect, test } from 'vitest';
import { ManualClock } from '../clock';
import { InProcessHost } from '../host';
import { registerMap, type RegisterMap } from '../registers';
import { type BarOptions, Bars } from './bars';
import { PciCard } from './card';
import { type MemoryBarOptions } from './card-bars';
import { IO_SPACE, MEMORY_SPACE, TestBus } from '../../test/support/pci-bus';

class OneBarCard extends PciCard {
  constructor(index: number, sizeBytes: number, options: MemoryBarOptions) {
    super({ vendorId: 0x1234, deviceId: 2, classCode: 0 }, { clock: new ManualClock() });
    this.memoryBar(index, sizeBytes, options);
  }
}

const busWith = (index: number, sizeBytes: number, options: MemoryBarOptions): TestBus =>
  new TestBus(new OneBarCard(index, sizeBytes, options));
const barRegister = (slot: number): number => 0x10 + 4 * slot;

/** Writes all ones to both slots and reads them back. */
function size(bus: TestBus, slot: number): [number, number] {
  bus.setConfig(barRegister(slot), 0xffff_ffff);
  bus.setConfig(barRegister(slot + 1), 0xffff_ffff);
  return [bus.config(barRegister(slot)), bus.config(barRegister(slot + 1))];
}

describe('sizing by writing all ones (PCI 6.2.5.1)', () => {
  test.each<[string, number, MemoryBarOptions, [number, number]]>([
    ['16 bytes, 32-bit', 16, { width: 32, prefetchable: false }, [0xffff_fff0, 0]],
    ['4 KiB, 32-bit', 4096, { width: 32, prefetchable: false }, [0xffff_f000, 0]],
    ['1 MiB, 32-bit, prefetchable', 1 << 20, { width: 32, prefetchable: true }, [0xfff0_0008, 0]],
    ['16 MiB, 64-bit, prefetchable', 1 << 24, { width: 64, prefetchable: true, io: false }, [0xff00_000c, 0xffff_ffff]],
    ['4 KiB, 64-bit', 4096, { width: 64, prefetchable: false }, [0xffff_f004, 0xffff_ffff]],
  ])('%s', (_, sizeBytes, options, expected) => {
    expect(size(busWith(0, sizeBytes, options), 0)).toEqual(expected);
  });

  test('a BAR beyond 4 GiB shows its size in the upper half', () => {
    const bars = new Bars();
    const target = { read: () => {}, write: () => {} };
    bars.add({ index: 0, label: 'memory', sizeBytes: 2 ** 34, width: 64, prefetchable: true, io: false }, () => target);
    expect([bars.present(0, 0xffff_ffff), bars.present(1, 0xffff_ffff)]).toEqual([0x0000_000c, 0xffff_fffc]);
  });

  test('an absent BAR reads 0', () => {
    const bus = busWith(0, 4096, { width: 32 });
    expect(size(bus, 1)).toEqual([0, 0]);
    expect(size(bus, 4)).toEqual([0, 0]);
  });
});

test('memory is 64-bit and prefetchable by default (PCIe 7.5.1.2.1)', () => {
  expect(busWith(2, 4096, {}).config(barRegister(2))).toBe(0x0000_000c);
});

test('an address is aligned down to the size, the type bits are unchanged (PCI 6.2.5.1)', () => {
  const bus = busWith(2, 1 << 20, {});
  bus.setConfig(barRegister(2), 0xfe12_3457);
  bus.setConfig(barRegister(3), 0x0000_0001);
  expect(bus.config(barRegister(2))).toBe(0xfe10_000c);
  expect(bus.config(barRegister(3))).toBe(1);
});

test('an address can be written byte by byte', () => {
  const bus = busWith(0, 4096, { width: 32, prefetchable: false });
  [0x00, 0x10, 0x20, 0xfe].forEach((byte, i) => bus.setConfig(barRegister(0) + i, byte, 1));
  expect(bus.config(barRegister(0))).toBe(0xfe20_1000);
});

test('a reset clears the address and keeps the type bits', () => {
  const bus = busWith(0, 4096, { width: 64 });
  bus.setConfig(barRegister(0), 0xfe20_1000);
  bus.device.reset();
  expect(bus.config(barRegister(0))).toBe(0x0000_000c);
});

describe('an I/O BAR', () => {
  const PORTS = registerMap({ DATA: { offset: 4, access: 'rw' } }, { sizeBytes: 32 });

  class PortCard extends PciCard {
    readonly ports;
    constructor(map: RegisterMap, options: BarOptions) {
      super({ vendorId: 0x1234, deviceId: 2, classCode: 0 }, { clock: new ManualClock() });
      this.ports = this.registerBar(1, map, options);
    }
  }

  test('shows its kind and size, and answers while I/O Space Enable is set', () => {
    const bus = new TestBus(new PortCard(PORTS, { io: true }));
    bus.setConfig(0x14, 0xffff_ffff);
    expect(bus.config(0x14)).toBe(0xffff_ffe1);
    bus.command(MEMORY_SPACE);
    expect(bus.read(1, 4)).toBe(0xffff_ffff);
    bus.command(IO_SPACE);
    expect(bus.config(0x04, 2)).toBe(IO_SPACE);
    bus.write(1, 4, 7);
    expect(bus.read(1, 4)).toBe(7);
  });

  test('is placed by the in-process host', () => {
    const host = new InProcessHost(new PortCard(PORTS, { io: true }));
    expect([host.config.read32(0x14), host.config.read16(0x04) & IO_SPACE]).toEqual([0x1001, IO_SPACE]);
    host.registers(1, PORTS).write('DATA', 5);
    expect(host.bar(1).read32(4)).toBe(5);
  });

  const large = registerMap({ DATA: { offset: 4, access: 'rw' } });
  test.each<[string, RegisterMap, BarOptions, string]>([
    ['that is too large', large, { io: true }, 'BAR 1 (registers) is 4096 bytes: an I/O BAR has 4 to 256'],
    [
      'that is 64-bit',
      PORTS,
      { io: true, width: 64 },
      'BAR 1 (registers): an I/O BAR is neither 64-bit nor prefetchable',
    ],
  ])('%s is refused', (_, map, options, message) => {
    expect(() => new PortCard(map, options)).toThrow(message);
  });

  test('of memory is refused', () => {
    expect(() => new OneBarCard(0, 256, { io: true })).toThrow('an I/O BAR holds registers; use registerBar');
  });
});
