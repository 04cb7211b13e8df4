import { describe, expect, test } from 'vitest';
import { BUS_MASTER, D3_HOT, MSI, MSIX, PMCSR, poweredBell, type TestBus } from '../../test/support/pci-bus';
import { Irq } from './vfio-layout';

describe('MSI', () => {
  /** Enabled with 4 of 8 vectors granted. */
  function enabled() {
    const { bus, irqs } = poweredBell();
    bus.setConfig(MSI + 2, 0x0021, 2);
    return { bus, irqs, sinks: bus.connect(Irq.MSI, 8) };
  }
  const mask = (bus: TestBus, bits: number) => bus.setConfig(MSI + 0x10, bits);
  const pending = (bus: TestBus) => bus.config(MSI + 0x14);

  test('a message goes to its vector, every time', () => {
    const { irqs, sinks } = enabled();
    irqs.signal(2);
    irqs.signal(2);
    expect(irqs.mode).toBe('msi');
    expect(sinks.map(({ triggers }) => triggers)).toEqual([0, 0, 2, 0, 0, 0, 0, 0]);
  });

  test('a vector beyond those granted is taken modulo their number (PCI 6.8.1.3)', () => {
    const { irqs, sinks } = enabled();
    irqs.signal(7);
    expect(sinks[3]!.triggers).toBe(1);
  });

  test('the card sees how many vectors were granted; of MSI-X it has all, and in INTx mode none', () => {
    const { bus, irqs } = enabled();
    expect(irqs.vectors).toBe(4);
    bus.setConfig(MSI + 2, 0, 2);
    expect(irqs.vectors).toBe(0);
    bus.setConfig(MSIX + 2, 0x8000, 2);
    expect(irqs.vectors).toBe(8);
  });

  test('a masked vector is pending, and is sent once when it is unmasked (PCI 6.8.1.7, PCI 6.8.1.8)', () => {
    const { bus, irqs, sinks } = enabled();
    mask(bus, 0b0010);
    irqs.signal(1);
    irqs.signal(1);
    expect([pending(bus), sinks[1]!.triggers]).toEqual([0b0010, 0]);
    mask(bus, 0);
    expect([pending(bus), sinks[1]!.triggers]).toEqual([0, 1]);
  });

  test('a vector that is not connected is pending until it is connected', () => {
    const { bus, irqs } = enabled();
    bus.disconnectAll(Irq.MSI);
    irqs.signal(0);
    expect(pending(bus)).toBe(1);
    expect(bus.connect(Irq.MSI, 8)[0]!.triggers).toBe(1);
    expect(pending(bus)).toBe(0);
  });

  test.each([
    ['Bus Master Enable is 0', (bus: TestBus) => bus.command(0), (bus: TestBus) => bus.command(BUS_MASTER)],
    [
      'the function is in D3hot',
      (bus: TestBus) => bus.setConfig(PMCSR, D3_HOT, 2),
      (bus: TestBus) => bus.setConfig(PMCSR, 0, 2),
    ],
  ])('a message is pending while %s', (_, close, open) => {
    const { bus, irqs, sinks } = enabled();
    close(bus);
    irqs.signal(0);
    expect(sinks[0]!.triggers).toBe(0);
    open(bus);
    expect(sinks[0]!.triggers).toBe(1);
  });

  test('disabling discards pending messages', () => {
    const { bus, irqs, sinks } = enabled();
    mask(bus, 1);
    irqs.signal(0);
    bus.setConfig(MSI + 2, 0, 2);
    mask(bus, 0);
    bus.setConfig(MSI + 2, 1, 2);
    expect([pending(bus), sinks[0]!.triggers]).toEqual([0, 0]);
  });
});
