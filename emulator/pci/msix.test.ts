import { describe, expect, test } from 'vitest';
import {
  BUS_MASTER,
  DEVICE_CONTROL,
  INITIATE_FLR,
  MEMORY_SPACE,
  MSIX,
  poweredBell,
  type TestBus,
} from '../../test/support/pci-bus';
import { Irq } from './vfio-layout';

describe('MSI-X', () => {
  const ENABLE = 0x8000;
  const FUNCTION_MASK = 0x4000;
  const control = (bus: TestBus, bits: number) => bus.setConfig(MSIX + 2, bits, 2);
  const maskVector = (bus: TestBus, vector: number, masked: 0 | 1) => bus.write(4, 16 * vector + 12, masked);
  const pendingBits = (bus: TestBus, word = 0) => bus.read(4, 0x1000 + 4 * word);

  function enabled(vectors = 8) {
    const { bus, irqs } = poweredBell(vectors);
    control(bus, ENABLE);
    return { bus, irqs };
  }

  describe('with a client that emulates the table itself', () => {
    test('a connected vector is triggered every time', () => {
      const { bus, irqs } = enabled();
      const sinks = bus.connect(Irq.MSIX, 8);
      irqs.signal(3);
      irqs.signal(3);
      irqs.signal(8 + 3);
      expect(irqs.mode).toBe('msix');
      expect(sinks[3]!.triggers).toBe(3);
    });

    test('vectors can be connected one by one, with a placeholder before', () => {
      const { bus, irqs } = enabled();
      bus.disconnect(Irq.MSIX, 0);
      irqs.signal(5);
      expect(pendingBits(bus)).toBe(1 << 5);
      const [sink] = bus.connect(Irq.MSIX, 1, 5);
      expect([sink!.triggers, pendingBits(bus)]).toEqual([1, 0]);
    });

    test('a vector whose sink is disconnected is pending, and is sent when a sink is connected again (PCI 6.8.2.10)', () => {
      const { bus, irqs } = enabled();
      const [first] = bus.connect(Irq.MSIX, 1, 2);
      bus.disconnect(Irq.MSIX, 2);
      irqs.signal(2);
      irqs.signal(2);
      const [second] = bus.connect(Irq.MSIX, 1, 2);
      expect([first!.triggers, first!.closes, second!.triggers]).toEqual([0, 1, 1]);
    });
  });

  describe('with a root complex that writes the table', () => {
    function unmasked() {
      const { bus, irqs } = enabled();
      const sinks = bus.connect(Irq.MSIX, 8);
      for (let vector = 0; vector < 8; vector++) maskVector(bus, vector, 0);
      return { bus, irqs, sinks };
    }

    test('entries read back what was written, all are masked after a reset (PCI 6.8.2.8, PCI 6.8.2.9)', () => {
      const { bus } = poweredBell();
      expect(bus.read(4, 0x1c)).toBe(1);
      for (const offset of [0x10, 0x14, 0x18, 0x1c]) bus.write(4, offset, 0xffff_ffff);
      expect([0x10, 0x14, 0x18, 0x1c].map((offset) => bus.read(4, offset))).toEqual([
        0xffff_fffc, 0xffff_ffff, 0xffff_ffff, 1,
      ]);
    });

    test('a masked vector is pending and is sent when it is unmasked (PCI 6.8.2.9, PCI 6.8.2.10)', () => {
      const { bus, irqs, sinks } = unmasked();
      maskVector(bus, 4, 1);
      irqs.signal(4);
      irqs.signal(5);
      expect([pendingBits(bus), sinks[4]!.triggers, sinks[5]!.triggers]).toEqual([1 << 4, 0, 1]);
      maskVector(bus, 4, 0);
      expect([pendingBits(bus), sinks[4]!.triggers]).toEqual([0, 1]);
    });

    test('once one entry has been written, entries never written are masked', () => {
      const { bus, irqs } = enabled();
      const sinks = bus.connect(Irq.MSIX, 8);
      maskVector(bus, 0, 0);
      irqs.signal(0);
      irqs.signal(1);
      expect([sinks[0]!.triggers, sinks[1]!.triggers, pendingBits(bus)]).toEqual([1, 0, 2]);
    });

    test('the function mask blocks all vectors; clearing it sends those that are unmasked (PCI 6.8.2.3)', () => {
      const { bus, irqs, sinks } = unmasked();
      control(bus, ENABLE | FUNCTION_MASK);
      maskVector(bus, 1, 1);
      [0, 1, 2].forEach((vector) => irqs.signal(vector));
      expect(pendingBits(bus)).toBe(0b111);
      control(bus, ENABLE);
      expect(sinks.map(({ triggers }) => triggers).slice(0, 3)).toEqual([1, 0, 1]);
      expect(pendingBits(bus)).toBe(0b010);
    });

    test('a function-level reset discards pending messages and keeps the sinks', () => {
      const { bus, irqs, sinks } = unmasked();
      maskVector(bus, 1, 1);
      irqs.signal(1);
      bus.setConfig(DEVICE_CONTROL, INITIATE_FLR, 2);
      bus.command(MEMORY_SPACE | BUS_MASTER);
      control(bus, ENABLE);
      maskVector(bus, 1, 0);
      expect([pendingBits(bus), sinks[1]!.triggers, sinks[1]!.closes]).toEqual([0, 0, 0]);
      irqs.signal(1);
      expect(sinks[1]!.triggers).toBe(1);
    });

    test('table masks do not apply after a reset, because the next client may emulate the table itself', () => {
      const { bus, irqs, sinks } = unmasked();
      maskVector(bus, 1, 1);
      bus.device.reset();
      bus.command(BUS_MASTER);
      control(bus, ENABLE);
      irqs.signal(1);
      expect(sinks[1]!.triggers).toBe(1);
    });

    test('the pending bits cannot be written (PCI 6.8.2.10)', () => {
      const { bus, irqs } = unmasked();
      maskVector(bus, 0, 1);
      irqs.signal(0);
      bus.write(4, 0x1000, 0);
      expect(pendingBits(bus)).toBe(1);
    });
  });

  test('2048 vectors have a pending bit each', () => {
    const { bus, irqs } = enabled(2048);
    irqs.signal(2047);
    irqs.signal(31);
    expect(bus.read(4, 0x8000)).toBe(0x8000_0000);
    expect(bus.read(4, 0x8000 + 4 * 63)).toBe(0x8000_0000);
  });

  test('no message is sent or pending in INTx mode (PCI 6.8.3.3)', () => {
    const { bus, irqs } = poweredBell();
    const sinks = bus.connect(Irq.MSIX, 8);
    irqs.signal(0);
    control(bus, ENABLE);
    expect([irqs.mode, sinks[0]!.triggers, pendingBits(bus)]).toEqual(['msix', 0, 0]);
  });
});
