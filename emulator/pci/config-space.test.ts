import { describe, expect, test } from 'vitest';
import { ManualClock } from '../clock';
import { PciCard } from './card';
import { type CardIdentity } from './identity';
import {
  BUS_MASTER,
  COMMAND,
  INTERRUPT_DISABLE,
  MEMORY_SPACE,
  MSI,
  MSIX,
  PMCSR,
  STATUS,
  TestBus,
} from '../../test/support/pci-bus';
import { Region } from './vfio-layout';

class BareCard extends PciCard {
  constructor(change: Partial<CardIdentity> = {}) {
    const full: CardIdentity = {
      vendorId: 0x1234,
      deviceId: 0x4743,
      classCode: 0x12_34_56,
      revision: 7,
      intx: 'A',
      msi: { vectors: 8 },
      msix: { bar: 4, vectors: 5 },
    };
    super({ ...full, ...change }, { clock: new ManualClock() });
  }
}

const busOf = (change: Partial<CardIdentity> = {}): TestBus => new TestBus(new BareCard(change));
const withoutMessages = (): TestBus => {
  class Plain extends PciCard {
    constructor() {
      super({ vendorId: 0x1234, deviceId: 2, classCode: 0 }, { clock: new ManualClock() });
    }
  }
  return new TestBus(new Plain());
};

/** Offsets and ids of the capability chain, as a driver walks it. */
function capabilities(bus: TestBus): { id: number; offset: number }[] {
  const found: { id: number; offset: number }[] = [];
  for (let offset = bus.config(0x34, 1); offset !== 0; offset = bus.config(offset + 1, 1)) {
    expect(offset % 4).toBe(0);
    expect(offset).toBeGreaterThanOrEqual(0x40);
    expect(found.map((other) => other.offset)).not.toContain(offset);
    found.push({ id: bus.config(offset, 1), offset });
  }
  return found;
}

describe('identity', () => {
  test('vendor, device, class and revision are at their standard offsets (PCI 6.2.1)', () => {
    const bus = busOf();
    expect(bus.config(0x00)).toBe(0x4743_1234);
    expect(bus.config(0x08)).toBe(0x12_34_56_07);
    expect(bus.config(0x0e, 1)).toBe(0);
  });

  test('the subsystem ids default to those of the card (PCI 6.2.4)', () => {
    expect(busOf().config(0x2c)).toBe(0x4743_1234);
    expect(busOf({ subsystemVendorId: 0xabcd, subsystemId: 0x0001 }).config(0x2c)).toBe(0x0001_abcd);
  });

  test('identity and the absent expansion ROM cannot be written (PCI 6.2.1, PCI 6.2.5.2)', () => {
    const bus = busOf();
    for (const offset of [0x00, 0x08, 0x2c, 0x30]) {
      const before = bus.config(offset);
      bus.setConfig(offset, 0xffff_ffff);
      expect(bus.config(offset)).toBe(before);
    }
    expect(bus.config(0x30)).toBe(0);
  });

  test('the interrupt pin is read-only, the interrupt line is storage (PCI 6.2.4)', () => {
    const bus = busOf({ intx: 'B' });
    bus.setConfig(0x3c, 0xffff, 2);
    expect(bus.config(0x3c, 2)).toBe(0x02_ff);
  });

  test('a card without INTx shows no pin', () => {
    expect(withoutMessages().config(0x3d, 1)).toBe(0);
  });
});

describe('command and status', () => {
  test('the command register has exactly the writable bits of an Express function, without I/O space (PCI 6.2.2)', () => {
    const bus = busOf();
    bus.setConfig(COMMAND, 0xffff, 2);
    expect(bus.config(COMMAND, 2)).toBe(0x0546);
  });

  test('status shows the capability list and is not changed by writing ones (PCI 6.2.3)', () => {
    const bus = busOf();
    bus.setConfig(STATUS, 0xffff, 2);
    expect(bus.config(STATUS, 2)).toBe(0x0010);
  });

  test('a byte write to the upper half of the command register does not change the lower half (PCI 6.1)', () => {
    const bus = busOf();
    bus.command(MEMORY_SPACE | BUS_MASTER);
    bus.setConfig(COMMAND + 1, INTERRUPT_DISABLE >>> 8, 1);
    expect(bus.config(COMMAND)).toBe(0x0010_0406);
  });
});

describe('the capability chain', () => {
  test('holds power management, MSI, MSI-X and PCI Express (PCI 6.7)', () => {
    expect(capabilities(busOf()).map(({ id }) => id)).toEqual([0x01, 0x05, 0x11, 0x10]);
  });

  test('leaves out what the card does not have', () => {
    expect(capabilities(withoutMessages()).map(({ id }) => id)).toEqual([0x01, 0x10]);
  });

  test('power management has version 3, only D0 and D3hot, and keeps state on the return to D0 (PCIe 7.5.2.1)', () => {
    const bus = busOf();
    expect(bus.config(PMCSR - 2, 2)).toBe(0x0003);
    bus.setConfig(PMCSR, 3, 2);
    expect(bus.config(PMCSR, 2)).toBe(0x000b);
    bus.setConfig(PMCSR, 0, 2);
    expect(bus.config(PMCSR, 2)).toBe(0x0008);
  });

  test.each([1, 2])('writing the unsupported power state D%i changes nothing (PCIe 7.5.2.2)', (state) => {
    const bus = busOf();
    bus.setConfig(PMCSR, state, 2);
    expect(bus.config(PMCSR, 2) & 3).toBe(0);
    bus.setConfig(PMCSR, 3, 2);
    bus.setConfig(PMCSR, state, 2);
    expect(bus.config(PMCSR, 2) & 3).toBe(3);
  });

  test('PCI Express is a version 2 endpoint with function-level reset at 8 GT/s and 4 lanes (PCIe 7.5.3.2, PCIe 7.5.3.3)', () => {
    const bus = busOf();
    const { offset } = capabilities(bus).find(({ id }) => id === 0x10)!;
    expect(bus.config(offset + 2, 2)).toBe(0x0002);
    expect(bus.config(offset + 4) & (1 << 28)).not.toBe(0);
    expect(bus.config(offset + 0x0c) & 0x3ff).toBe(0x043);
    expect(bus.config(offset + 0x12, 2) & 0x3ff).toBe(0x043);
    expect(bus.config(offset + 0x2c)).toBe(0x0e);
  });

  test('the link has the speed and width that the card declares (PCIe 7.5.3.8)', () => {
    const bus = busOf({ link: { generation: 1, lanes: 16 } });
    const { offset } = capabilities(bus).find(({ id }) => id === 0x10)!;
    expect(bus.config(offset + 0x12, 2) & 0x3ff).toBe(0x101);
    expect(bus.config(offset + 0x2c)).toBe(0x02);
  });

  test('MSI shows its number of vectors, has 64-bit addresses and masks each vector (PCI 6.8.1.3, PCI 6.8.1.5)', () => {
    const bus = busOf();
    expect(bus.config(MSI + 2, 2)).toBe(0x0186);
    bus.setConfig(MSI + 4, 0xffff_ffff);
    bus.setConfig(MSI + 8, 0xffff_ffff);
    bus.setConfig(MSI + 0x10, 0xffff_ffff);
    expect(bus.config(MSI + 4)).toBe(0xffff_fffc);
    expect(bus.config(MSI + 8)).toBe(0xffff_ffff);
    expect(bus.config(MSI + 0x10)).toBe(0x0000_00ff);
  });

  test('MSI-X shows its BAR, with the pending bits a page after the table (PCI 6.8.2.4, PCI 6.8.2.5)', () => {
    const bus = busOf();
    expect(bus.config(MSIX + 2, 2)).toBe(4);
    expect(bus.config(MSIX + 4)).toBe(0x0000_0004);
    expect(bus.config(MSIX + 8)).toBe(0x0000_1004);
  });

  test('2048 MSI-X vectors have a table of 8 pages (PCI 6.8.2.3)', () => {
    const card = new BareCard({ msix: { bar: 0, vectors: 2048 } });
    expect(new TestBus(card).config(MSIX + 8)).toBe(0x8000);
    expect(card.layout.regions[0]!.sizeBytes).toBe(0x1_0000);
  });

  test('extended configuration space is empty without its capabilities (PCIe 7.6.2)', () => {
    const bus = busOf({ advancedErrorReporting: false });
    expect(bus.config(0x100)).toBe(0);
    expect(bus.config(0xffc)).toBe(0);
  });

  test('advanced error reporting is the only extended capability, or follows the serial number (PCIe 7.6.2, PCIe 7.9.3)', () => {
    expect(busOf().config(0x100)).toBe(0x0002_0001);
    const bus = busOf({ serialNumber: 0x0123_4567_89ab_cdefn });
    expect([0x100, 0x104, 0x108].map((offset) => bus.config(offset))).toEqual([0x10c1_0003, 0x89ab_cdef, 0x0123_4567]);
    expect(bus.config(0x10c)).toBe(0x0002_0001);
  });
});

describe('access', () => {
  test('one read of 256 bytes returns the same as single reads (PCI 6.1)', () => {
    const bus = busOf();
    const whole = new Uint8Array(256).fill(0xee);
    bus.device.readRegion(Region.CONFIG, 0, whole);
    const single = Uint8Array.from({ length: 256 }, (_, offset) => bus.config(offset, 1));
    expect(whole).toEqual(single);
  });

  test('bytes between the structures read 0 and cannot be written (PCI 6.1)', () => {
    const bus = busOf();
    for (const offset of [0x48, 0xc0, 0xff0]) {
      bus.setConfig(offset, 0xffff_ffff);
      expect(bus.config(offset)).toBe(0);
    }
  });
});
