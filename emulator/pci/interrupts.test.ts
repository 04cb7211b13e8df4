import { describe, expect, test } from 'vitest';
import { ManualClock } from '../clock';
import { DeviceError } from '../vfio-user/device';
import { PciCard } from './card';
import {
  BUS_MASTER,
  D3_HOT,
  DEVICE_CONTROL,
  INITIATE_FLR,
  INTERRUPT_DISABLE,
  MEMORY_SPACE,
  MSI,
  MSIX,
  PMCSR,
  STATUS,
  TestBus,
} from './test-bus';
import { Irq } from './vfio-layout';

class BellCard extends PciCard {
  constructor(vectors = 8) {
    super(
      {
        vendorId: 0x1234,
        deviceId: 0x4743,
        classCode: 0,
        intx: 'A',
        msi: { vectors: 8 },
        msix: { bar: 4, vectors },
      },
      { clock: new ManualClock() },
    );
  }

  get irqs() {
    return this.interrupts;
  }
}

const INTERRUPT_STATUS = 1 << 3;

function powered(vectors = 8) {
  const card = new BellCard(vectors);
  const bus = new TestBus(card);
  bus.command(MEMORY_SPACE | BUS_MASTER);
  return { card, bus, irqs: card.irqs };
}

describe('INTx', () => {
  function withSink() {
    const { bus, irqs } = powered();
    const [sink] = bus.connect(Irq.INTX);
    return { bus, irqs, sink: sink! };
  }

  test('an asserted line triggers once; the client then has it masked', () => {
    const { irqs, sink } = withSink();
    irqs.setIntx(true);
    irqs.setIntx(true);
    expect(sink.triggers).toBe(1);
  });

  test('unmasking while the line stands triggers again, after it has been let go it does not', () => {
    const { bus, irqs, sink } = withSink();
    irqs.setIntx(true);
    bus.irq('unmask', Irq.INTX);
    expect(sink.triggers).toBe(2);
    irqs.setIntx(false);
    bus.irq('unmask', Irq.INTX);
    expect(sink.triggers).toBe(2);
  });

  test('a line that falls and rises while masked triggers once when it is unmasked', () => {
    const { bus, irqs, sink } = withSink();
    irqs.setIntx(true);
    irqs.setIntx(false);
    irqs.setIntx(true);
    expect(sink.triggers).toBe(1);
    bus.irq('unmask', Irq.INTX);
    expect(sink.triggers).toBe(2);
  });

  test('a client that masks beforehand gets nothing until it unmasks', () => {
    const { bus, irqs, sink } = withSink();
    bus.irq('mask', Irq.INTX);
    irqs.setIntx(true);
    expect(sink.triggers).toBe(0);
    bus.irq('unmask', Irq.INTX);
    expect(sink.triggers).toBe(1);
  });

  test('Interrupt Disable holds it back, and clearing it while the line stands triggers', () => {
    const { bus, irqs, sink } = withSink();
    bus.command(INTERRUPT_DISABLE);
    irqs.setIntx(true);
    expect(sink.triggers).toBe(0);
    bus.command(0);
    expect(sink.triggers).toBe(1);
  });

  test('Interrupt Status follows the line, also while Interrupt Disable is set', () => {
    const { bus, irqs } = withSink();
    irqs.setIntx(true);
    bus.command(INTERRUPT_DISABLE);
    expect(bus.config(STATUS, 2) & INTERRUPT_STATUS).toBe(INTERRUPT_STATUS);
    irqs.setIntx(false);
    expect(bus.config(STATUS, 2) & INTERRUPT_STATUS).toBe(0);
  });

  test('the handshake of uio_pci_generic: disable in the handler, serve, enable', () => {
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

  test('a line that stands when the client connects triggers then', () => {
    const { bus, irqs } = powered();
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
  ])('is silent while %s is enabled, and speaks when that is disabled', (_, capability, enable) => {
    const { bus, irqs, sink } = withSink();
    bus.setConfig(capability + 2, enable, 2);
    irqs.setIntx(true);
    expect(sink.triggers).toBe(0);
    bus.setConfig(capability + 2, 0, 2);
    expect(sink.triggers).toBe(1);
  });

  test('is silent in D3hot and speaks in D0', () => {
    const { bus, irqs, sink } = withSink();
    bus.setConfig(PMCSR, D3_HOT, 2);
    irqs.setIntx(true);
    expect(sink.triggers).toBe(0);
    bus.setConfig(PMCSR, 0, 2);
    expect(sink.triggers).toBe(1);
  });

  test('needs no Bus Master Enable: it is no memory write', () => {
    const { bus, irqs, sink } = withSink();
    bus.command(0);
    irqs.setIntx(true);
    expect(sink.triggers).toBe(1);
  });

  test('a card without a pin has no line', () => {
    class Pinless extends PciCard {
      constructor() {
        super({ vendorId: 1, deviceId: 2, classCode: 0 }, { clock: new ManualClock() });
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

describe('MSI', () => {
  /** Enabled with 4 of 8 vectors granted. */
  function enabled() {
    const { bus, irqs } = powered();
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

  test('vectors beyond those granted are folded into them', () => {
    const { irqs, sinks } = enabled();
    irqs.signal(7);
    expect(sinks[3]!.triggers).toBe(1);
  });

  test('a masked vector is pending, once, and goes out when it is unmasked', () => {
    const { bus, irqs, sinks } = enabled();
    mask(bus, 0b0010);
    irqs.signal(1);
    irqs.signal(1);
    expect([pending(bus), sinks[1]!.triggers]).toEqual([0b0010, 0]);
    mask(bus, 0);
    expect([pending(bus), sinks[1]!.triggers]).toEqual([0, 1]);
  });

  test('a vector that is not connected is pending until it is', () => {
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
  ])('a message is held back while %s', (_, close, open) => {
    const { bus, irqs, sinks } = enabled();
    close(bus);
    irqs.signal(0);
    expect(sinks[0]!.triggers).toBe(0);
    open(bus);
    expect(sinks[0]!.triggers).toBe(1);
  });

  test('disabling forgets what is pending', () => {
    const { bus, irqs, sinks } = enabled();
    mask(bus, 1);
    irqs.signal(0);
    bus.setConfig(MSI + 2, 0, 2);
    mask(bus, 0);
    bus.setConfig(MSI + 2, 1, 2);
    expect([pending(bus), sinks[0]!.triggers]).toEqual([0, 0]);
  });
});

describe('MSI-X', () => {
  const ENABLE = 0x8000;
  const FUNCTION_MASK = 0x4000;
  const control = (bus: TestBus, bits: number) => bus.setConfig(MSIX + 2, bits, 2);
  const maskVector = (bus: TestBus, vector: number, masked: 0 | 1) => bus.write(4, 16 * vector + 12, masked);
  const pendingBits = (bus: TestBus, word = 0) => bus.read(4, 0x1000 + 4 * word);

  function enabled(vectors = 8) {
    const { bus, irqs } = powered(vectors);
    control(bus, ENABLE);
    return { bus, irqs };
  }

  describe('with a client that keeps the table to itself', () => {
    test('a connected vector is triggered every time', () => {
      const { bus, irqs } = enabled();
      const sinks = bus.connect(Irq.MSIX, 8);
      irqs.signal(3);
      irqs.signal(3);
      irqs.signal(8 + 3);
      expect(irqs.mode).toBe('msix');
      expect(sinks[3]!.triggers).toBe(3);
    });

    test('vectors are connected one by one, with a placeholder before', () => {
      const { bus, irqs } = enabled();
      bus.disconnect(Irq.MSIX, 0);
      irqs.signal(5);
      expect(pendingBits(bus)).toBe(1 << 5);
      const [sink] = bus.connect(Irq.MSIX, 1, 5);
      expect([sink!.triggers, pendingBits(bus)]).toEqual([1, 0]);
    });

    test('a vector whose sink is taken away is pending, and goes out when a sink comes back', () => {
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

    test('entries read back what was written, all are masked after a reset', () => {
      const { bus } = powered();
      expect(bus.read(4, 0x1c)).toBe(1);
      for (const offset of [0x10, 0x14, 0x18, 0x1c]) bus.write(4, offset, 0xffff_ffff);
      expect([0x10, 0x14, 0x18, 0x1c].map((offset) => bus.read(4, offset))).toEqual([
        0xffff_fffc, 0xffff_ffff, 0xffff_ffff, 1,
      ]);
    });

    test('a masked vector is pending and goes out when it is unmasked', () => {
      const { bus, irqs, sinks } = unmasked();
      maskVector(bus, 4, 1);
      irqs.signal(4);
      irqs.signal(5);
      expect([pendingBits(bus), sinks[4]!.triggers, sinks[5]!.triggers]).toEqual([1 << 4, 0, 1]);
      maskVector(bus, 4, 0);
      expect([pendingBits(bus), sinks[4]!.triggers]).toEqual([0, 1]);
    });

    test('once one entry was written, those never written are masked', () => {
      const { bus, irqs } = enabled();
      const sinks = bus.connect(Irq.MSIX, 8);
      maskVector(bus, 0, 0);
      irqs.signal(0);
      irqs.signal(1);
      expect([sinks[0]!.triggers, sinks[1]!.triggers, pendingBits(bus)]).toEqual([1, 0, 2]);
    });

    test('the function mask holds all vectors back, and lets go what is unmasked', () => {
      const { bus, irqs, sinks } = unmasked();
      control(bus, ENABLE | FUNCTION_MASK);
      maskVector(bus, 1, 1);
      [0, 1, 2].forEach((vector) => irqs.signal(vector));
      expect(pendingBits(bus)).toBe(0b111);
      control(bus, ENABLE);
      expect(sinks.map(({ triggers }) => triggers).slice(0, 3)).toEqual([1, 0, 1]);
      expect(pendingBits(bus)).toBe(0b010);
    });

    test('a function-level reset forgets what is pending and keeps the sinks', () => {
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

    test('the pending bits cannot be written', () => {
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

  test('nothing is sent or remembered in INTx mode', () => {
    const { bus, irqs } = powered();
    const sinks = bus.connect(Irq.MSIX, 8);
    irqs.signal(0);
    control(bus, ENABLE);
    expect([irqs.mode, sinks[0]!.triggers, pendingBits(bus)]).toEqual(['msix', 0, 0]);
  });
});

describe('what a client sets up', () => {
  test('a replaced sink is closed once', () => {
    const { bus } = powered();
    const first = bus.connect(Irq.MSIX, 8);
    const second = bus.connect(Irq.MSIX, 4);
    bus.disconnectAll(Irq.MSIX);
    bus.disconnectAll(Irq.MSIX);
    expect([...first, ...second].map(({ closes }) => closes)).toEqual(new Array(12).fill(1));
  });

  test('connecting a sink to its own vector again does not close it', () => {
    const { bus } = powered();
    const [sink] = bus.connect(Irq.MSIX, 1);
    bus.device.setIrqs({ index: Irq.MSIX, start: 0, count: 1, action: { kind: 'sinks', sinks: [sink] } });
    expect(sink!.closes).toBe(0);
  });

  test('a sink that two vectors share is closed with the second', () => {
    const { bus } = powered();
    const [sink] = bus.connect(Irq.MSIX, 1, 0);
    bus.device.setIrqs({ index: Irq.MSIX, start: 1, count: 1, action: { kind: 'sinks', sinks: [sink] } });
    bus.disconnect(Irq.MSIX, 0);
    expect(sink!.closes).toBe(0);
    bus.disconnect(Irq.MSIX, 1);
    expect(sink!.closes).toBe(1);
  });

  test.each([Irq.INTX, Irq.MSI, Irq.MSIX, Irq.ERROR, Irq.REQUEST])(
    'the loopback trigger of index %i works',
    (index) => {
      const { bus } = powered();
      const [sink] = bus.connect(index);
      bus.irq('trigger', index);
      expect(sink!.triggers).toBe(1);
    },
  );

  test('a trigger with flags reaches the flagged vectors only', () => {
    const { bus } = powered();
    const sinks = bus.connect(Irq.MSIX, 8);
    const vectors = [true, false, true];
    bus.device.setIrqs({ index: Irq.MSIX, start: 4, count: 3, action: { kind: 'trigger', vectors } });
    expect(sinks.map(({ triggers }) => triggers)).toEqual([0, 0, 0, 0, 1, 0, 1, 0]);
  });

  test('a mask with its flag clear does nothing', () => {
    const { bus, irqs } = powered();
    const [sink] = bus.connect(Irq.INTX);
    bus.device.setIrqs({ index: Irq.INTX, start: 0, count: 1, action: { kind: 'mask', vectors: [false] } });
    irqs.setIntx(true);
    expect(sink!.triggers).toBe(1);
  });

  test('errors and requests of the card reach the client', () => {
    const { bus, irqs } = powered();
    const [error] = bus.connect(Irq.ERROR);
    const [request] = bus.connect(Irq.REQUEST);
    irqs.reportError();
    irqs.requestRelease();
    expect([error!.triggers, request!.triggers]).toEqual([1, 1]);
  });

  test.each<[string, (bus: TestBus) => void, string]>([
    ['an index that is not there', (b) => b.connect(5), 'interrupt index 5: there are 0 to 4'],
    ['more vectors than there are', (b) => b.connect(Irq.MSIX, 9), 'sinks of MSI-X vectors 0 to 8: the card has 8'],
    ['a start beyond the end', (b) => b.connect(Irq.MSI, 1, 8), 'sinks of MSI vectors 8 to 8: the card has 8'],
    [
      'masking MSI-X',
      (b) => b.irq('mask', Irq.MSIX),
      "mask of MSI-X vectors 0 to 0: only the function's own registers",
    ],
    [
      'a number of sinks that is not the count',
      (b) => b.device.setIrqs({ index: 2, start: 0, count: 2, action: { kind: 'sinks', sinks: [undefined] } }),
      'sinks of MSI-X vectors 0 to 1: 1 sinks were given',
    ],
    [
      'a number of flags that is not the count',
      (b) => b.device.setIrqs({ index: 2, start: 0, count: 2, action: { kind: 'trigger', vectors: [true] } }),
      'trigger of MSI-X vectors 0 to 1: 1 flags were given',
    ],
  ])('%s is refused as invalid', (_, act, message) => {
    const { bus } = powered();
    expect(() => act(bus)).toThrow(message);
    expect(() => act(bus)).toThrow(expect.objectContaining({ errno: 22 }));
    expect(() => act(bus)).toThrow(DeviceError);
  });

  test('a request that is refused has closed nothing', () => {
    const { bus } = powered();
    const sinks = bus.connect(Irq.MSIX, 8);
    expect(() => bus.connect(Irq.MSIX, 9)).toThrow();
    expect(sinks.every(({ closes }) => closes === 0)).toBe(true);
  });
});

test('signalling something that is no vector number is an error of the card', () => {
  expect(() => powered().irqs.signal(-1)).toThrow('signalling vector -1');
});
