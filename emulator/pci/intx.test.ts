import { describe, expect, test } from 'vitest';
import { ManualClock } from '../clock';
import { PciCard } from './card';
import {
  D3_HOT,
  INTERRUPT_DISABLE,
  INTERRUPT_STATUS,
  MEMORY_SPACE,
  MSI,
  MSIX,
  PMCSR,
  poweredBell,
  STATUS,
  TestBus,
} from '../../test/support/pci-bus';
import { Irq } from './vfio-layout';

describe('INTx', () => {
  function withSink() {
    const { bus, irqs } = poweredBell();
    const [sink] = bus.connect(Irq.INTX);
    return { bus, irqs, sink: sink! };
  }

  test('assertion triggers once; the vector then counts as masked by the client (VFIO IRQ_INFO_AUTOMASKED)', () => {
    const { irqs, sink } = withSink();
    irqs.setIntx(true);
    irqs.setIntx(true);
    expect(sink.triggers).toBe(1);
  });

  test('unmasking triggers again while asserted, and not once deasserted (PCIe 6.1.2, VFIO IRQ_INFO_AUTOMASKED)', () => {
    const { bus, irqs, sink } = withSink();
    irqs.setIntx(true);
    bus.irq('unmask', Irq.INTX);
    expect(sink.triggers).toBe(2);
    irqs.setIntx(false);
    bus.irq('unmask', Irq.INTX);
    expect(sink.triggers).toBe(2);
  });

  test('a line deasserted and asserted while masked triggers once when it is unmasked (PCIe 6.1.2)', () => {
    const { bus, irqs, sink } = withSink();
    irqs.setIntx(true);
    irqs.setIntx(false);
    irqs.setIntx(true);
    expect(sink.triggers).toBe(1);
    bus.irq('unmask', Irq.INTX);
    expect(sink.triggers).toBe(2);
  });

  test('a client that masks before the assertion receives nothing until it unmasks', () => {
    const { bus, irqs, sink } = withSink();
    bus.irq('mask', Irq.INTX);
    irqs.setIntx(true);
    expect(sink.triggers).toBe(0);
    bus.irq('unmask', Irq.INTX);
    expect(sink.triggers).toBe(1);
  });

  test('Interrupt Disable blocks the interrupt, and clearing it while asserted triggers (PCIe 7.5.1.1.3)', () => {
    const { bus, irqs, sink } = withSink();
    bus.command(INTERRUPT_DISABLE);
    irqs.setIntx(true);
    expect(sink.triggers).toBe(0);
    bus.command(0);
    expect(sink.triggers).toBe(1);
  });

  test('Interrupt Status follows the line, also while Interrupt Disable is set (PCI 6.2.3)', () => {
    const { bus, irqs } = withSink();
    irqs.setIntx(true);
    bus.command(INTERRUPT_DISABLE);
    expect(bus.config(STATUS, 2) & INTERRUPT_STATUS).toBe(INTERRUPT_STATUS);
    irqs.setIntx(false);
    expect(bus.config(STATUS, 2) & INTERRUPT_STATUS).toBe(0);
  });

  test('the handshake of uio_pci_generic works: disable in the handler, service, enable', () => {
    const { bus, irqs, sink } = withSink();
    irqs.setIntx(true);
    bus.command(MEMORY_SPACE | INTERRUPT_DISABLE);
    bus.irq('unmask', Irq.INTX);
    expect(sink.triggers).toBe(1);
    irqs.setIntx(false);
    bus.command(MEMORY_SPACE);
    expect(sink.triggers).toBe(1);
    irqs.setIntx(true);
    expect(sink.triggers).toBe(2);
  });

  test('a line that is asserted when the client connects triggers then', () => {
    const { bus, irqs } = poweredBell();
    irqs.setIntx(true);
    expect(bus.connect(Irq.INTX)[0]!.triggers).toBe(1);
  });

  test('disconnecting and connecting again starts unmasked', () => {
    const { bus, irqs, sink } = withSink();
    irqs.setIntx(true);
    bus.disconnectAll(Irq.INTX);
    const [next] = bus.connect(Irq.INTX);
    expect([sink.triggers, sink.closes, next!.triggers]).toEqual([1, 1, 1]);
  });

  test.each([
    ['MSI', MSI, 1],
    ['MSI-X', MSIX, 0x8000],
  ])('is not sent while %s is enabled, and is sent when that is disabled', (_, capability, enable) => {
    const { bus, irqs, sink } = withSink();
    bus.setConfig(capability + 2, enable, 2);
    irqs.setIntx(true);
    expect(sink.triggers).toBe(0);
    bus.setConfig(capability + 2, 0, 2);
    expect(sink.triggers).toBe(1);
  });

  test('is not sent in D3hot, and is sent on the return to D0 (PCIe 5.3.1.4)', () => {
    const { bus, irqs, sink } = withSink();
    bus.setConfig(PMCSR, D3_HOT, 2);
    irqs.setIntx(true);
    expect(sink.triggers).toBe(0);
    bus.setConfig(PMCSR, 0, 2);
    expect(sink.triggers).toBe(1);
  });

  test('needs no Bus Master Enable: it is not a memory write (PCIe 6.1.4)', () => {
    const { bus, irqs, sink } = withSink();
    bus.command(0);
    irqs.setIntx(true);
    expect(sink.triggers).toBe(1);
  });

  test('a card without a pin has no line (PCI 6.2.4)', () => {
    class Pinless extends PciCard {
      constructor() {
        super({ vendorId: 0x1234, deviceId: 2, classCode: 0 }, { clock: new ManualClock() });
      }
      get irqs() {
        return this.interrupts;
      }
    }
    const card = new Pinless();
    const bus = new TestBus(card);
    card.irqs.setIntx(true);
    expect(card.irqs.mode).toBe('none');
    expect(bus.config(STATUS, 2) & INTERRUPT_STATUS).toBe(0);
    expect(() => bus.connect(Irq.INTX)).toThrow('the card has 0');
  });
});
