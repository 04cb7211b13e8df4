import { describe, expect, test } from 'vitest';
import { ManualClock } from '../clock';
import { DmaError, type RemoteMemory } from '../memory';
import { registerMap } from '../registers';
import { DeviceError, type DmaMapping } from '../device';
import { type CardEnvironment, PciCard } from './card';
import { CardDefinitionError, type CardIdentity } from './identity';
import { type CardMemory } from './memory-bar';
import {
  BUS_MASTER,
  COMMAND,
  D3_HOT,
  DEVICE_CONTROL,
  INITIATE_FLR,
  MEMORY_SPACE,
  PMCSR,
  TestBus,
} from '../../test/support/pci-bus';
import { Irq, Region } from './vfio-layout';

const BLINK = registerMap({
  ID: { offset: 0x00, access: 'ro', reset: 0x4748_4331 },
  LEDS: { offset: 0x04, access: 'rw', fields: { RED: [0], GREEN: [1] } },
});

const identity: CardIdentity = {
  vendorId: 0x1234,
  deviceId: 0x4743,
  classCode: 0x12_00_00,
  revision: 1,
  intx: 'A',
  msi: { vectors: 8 },
  msix: { bar: 4, vectors: 8 },
};

class BlinkCard extends PciCard {
  readonly registers = this.registerBar(0, BLINK);
  readonly memory = this.memoryBar(2, 0x1_0000, { mappable: true });
  readonly resets: string[] = [];
  readonly ledWrites: number[] = [];

  constructor(environment: CardEnvironment = {}) {
    super(identity, { clock: new ManualClock(), ...environment });
    this.registers.onWrite('LEDS', ({ value }) => this.ledWrites.push(value));
  }

  get port() {
    return this.dma;
  }

  get irqs() {
    return this.interrupts;
  }

  late(): void {
    this.memoryBar(5, 4096, { width: 32 });
  }

  protected override onReset(kind: string): void {
    this.resets.push(`${kind}: LEDS ${this.registers.get('LEDS')}`);
  }
}

function powered(environment: CardEnvironment = {}) {
  const card = new BlinkCard(environment);
  const bus = new TestBus(card);
  bus.command(MEMORY_SPACE | BUS_MASTER);
  return { card, bus };
}

const refusal = expect.objectContaining({ name: 'DeviceError', errno: 22 });

describe('the layout of the device interface', () => {
  test('a 64-bit BAR uses two slots, ROM and VGA are absent, configuration space has 4096 bytes', () => {
    const { layout } = new BlinkCard();
    expect(layout.regions.map(({ sizeBytes }) => sizeBytes)).toEqual([4096, 0, 0x1_0000, 0, 8192, 0, 0, 4096, 0]);
    expect(layout.resettable).toBe(true);
  });

  test('INTx is automasked, MSI-X can be resized, error and request have a vector each (VFIO DEVICE_GET_IRQ_INFO)', () => {
    const { irqs } = new BlinkCard().layout;
    expect(irqs.map(({ count }) => count)).toEqual([1, 8, 8, 1, 1]);
    expect(irqs.map(({ autoMasked }) => autoMasked)).toEqual([true, false, false, false, false]);
    expect(irqs.every(({ noResize }) => !noResize)).toBe(true);
  });

  test('a mappable memory BAR is offered to the client when its memory has a file (VFIO DEVICE_GET_REGION_INFO)', () => {
    const bytes = new Uint8Array(0x1_0000);
    const card = new BlinkCard({ allocate: () => ({ bytes, fd: 77, close: () => {} }) });
    expect(card.layout.regions[2]!.mappable).toEqual({ fd: 77, areas: [{ offset: 0, sizeBytes: 0x1_0000 }] });
    expect(card.memory.bytes).toBe(bytes);
  });

  test('a mappable memory BAR without a file behind it is not offered', () => {
    expect(new BlinkCard().layout.regions[2]!.mappable).toBeUndefined();
  });

  test('the layout is final: adding a BAR after it was read throws', () => {
    const card = new BlinkCard();
    void card.layout;
    expect(() => card.late()).toThrow(/BAR 5 \(memory\): the card's layout has been read already/);
  });
});

describe('access to BARs', () => {
  test('registers respond, and call their hooks, when Memory Space Enable is set (PCIe 7.5.1.1.3)', () => {
    const { card, bus } = powered();
    expect(bus.read(0, 0)).toBe(0x4748_4331);
    bus.write(0, 4, 2);
    expect(card.registers.get('LEDS.GREEN')).toBe(1);
    expect(card.ledWrites).toEqual([2]);
  });

  test('a misspelt register or field does not compile', () => {
    const { registers } = new BlinkCard();
    // @ts-expect-error there is no such register
    expect(() => registers.get('LED')).toThrow("There is no 'LED'");
    // @ts-expect-error there is no such field
    expect(() => registers.get('LEDS.BLUE')).toThrow("There is no 'LEDS.BLUE'");
  });

  test('without Memory Space Enable reads are all ones and writes are discarded (PCIe 2.3.1, PCIe 7.5.1.1.3)', () => {
    const { card, bus } = powered();
    bus.command(BUS_MASTER);
    expect(bus.read(0, 0)).toBe(0xffff_ffff);
    bus.write(0, 4, 3);
    bus.write(2, 0, 3);
    expect(card.ledWrites).toEqual([]);
    expect(card.memory.bytes[0]).toBe(0);
  });

  test('in D3hot reads are all ones, and the state is preserved on the return to D0 (PCIe 5.3.1.4, PCIe 7.5.2.2)', () => {
    const { bus } = powered();
    bus.write(0, 4, 3);
    bus.setConfig(PMCSR, D3_HOT, 2);
    expect(bus.read(0, 4)).toBe(0xffff_ffff);
    bus.setConfig(PMCSR, 0, 2);
    expect(bus.read(0, 4)).toBe(3);
  });

  test('an absent BAR, the ROM and VGA read all ones and discard writes (PCIe 2.3.1)', () => {
    const { bus } = powered();
    for (const region of [1, 3, 5, Region.ROM, Region.VGA]) {
      bus.write(region, 0x100, 1);
      expect(bus.read(region, 0x100)).toBe(0xffff_ffff);
    }
  });

  test.each([0, 2, 4, Region.CONFIG])('an access beyond the end of region %i is refused', (region) => {
    const { card, bus } = powered();
    const { sizeBytes } = card.layout.regions[region]!;
    expect(() => bus.read(region, sizeBytes - 2)).toThrow(refusal);
    expect(() => bus.write(region, sizeBytes, 0, 1)).toThrow(refusal);
    expect(() => bus.read(region, -4)).toThrow(refusal);
    expect(() => bus.read(region, sizeBytes - 4)).not.toThrow();
  });

  test('the error names the attempted access and the limit', () => {
    expect(() => powered().bus.read(0, 0x1000)).toThrow(
      'access of 4 bytes at offset 0x1000 of BAR 0: it has 4096 bytes',
    );
  });

  test('an access to a region that no function has is refused', () => {
    expect(() => powered().bus.read(9, 0)).toThrow('access to region 9: valid regions are 0 to 8');
    expect(() => powered().bus.write(-1, 0, 0)).toThrow(DeviceError);
  });

  test.each([1, 2, 4, 8, 100])('memory accepts accesses of %i bytes, at any alignment', (length) => {
    const { card } = powered();
    const sent = Uint8Array.from({ length }, (_, i) => i + 1);
    card.writeRegion(2, 0x3, sent);
    const seen = new Uint8Array(length);
    card.readRegion(2, 0x3, seen);
    expect(seen).toEqual(sent);
    expect(card.memory.bytes.subarray(3, 3 + length)).toEqual(sent);
  });
});

describe('DMA', () => {
  const ram = (): DmaMapping & { bytes: Uint8Array } => {
    const bytes = new Uint8Array(4096);
    return {
      iova: 0x10_000n,
      sizeBytes: 4096n,
      readable: true,
      writable: true,
      backing: { kind: 'bytes', bytes },
      bytes,
    };
  };

  test('reaches mapped memory while Bus Master Enable is set (PCIe 7.5.1.1.3)', () => {
    const { card } = powered();
    const memory = ram();
    card.mapDma(memory);
    expect(card.port.write(0x10_010, Uint8Array.of(1, 2, 3)).isDone).toBe(true);
    expect([...memory.bytes.subarray(0x10, 0x13)]).toEqual([1, 2, 3]);
  });

  test.each([
    ['Bus Master Enable is 0', (bus: TestBus) => bus.command(MEMORY_SPACE)],
    ['the function is in D3hot', (bus: TestBus) => bus.setConfig(PMCSR, D3_HOT, 2)],
    ['the function has been reset', (bus: TestBus) => bus.device.reset()],
  ])('fails while %s', (_, act) => {
    const { card, bus } = powered();
    card.mapDma(ram());
    act(bus);
    expect(() => card.port.read(0x10_000, new Uint8Array(4))).toThrow(DmaError);
  });

  test('mappings survive a reset', () => {
    const { card, bus } = powered();
    card.mapDma(ram());
    card.reset();
    bus.command(BUS_MASTER);
    expect(card.port.read(0x10_000, new Uint8Array(4)).isDone).toBe(true);
  });

  test.each([
    ['a function-level reset', (bus: TestBus) => bus.setConfig(DEVICE_CONTROL, INITIATE_FLR, 2)],
    ['a reset by the client', (bus: TestBus) => bus.device.reset()],
  ])('by message that is pending during %s is discarded, also when bus mastering is enabled again', async (_, act) => {
    const { card, bus } = powered();
    let answer = (): void => {};
    const memory: RemoteMemory = {
      read: (_iova, into) => new Promise((resolve) => (answer = () => (into.fill(0xaa), resolve()))),
      write: () => Promise.resolve(),
    };
    card.mapDma({ ...ram(), backing: { kind: 'remote', memory } });
    const into = card.memory.bytes.subarray(0, 4);
    const done = card.port.read(0x10_000, into).promise();
    act(bus);
    bus.command(MEMORY_SPACE | BUS_MASTER);
    answer();
    await expect(done).rejects.toMatchObject({ name: 'DmaError', reason: 'reset' });
    expect([...into]).toEqual([0, 0, 0, 0]);
  });

  test('an overlapping map is refused as existing, an unmap that would cut a mapping in two as invalid (VFIO IOMMU_MAP_DMA, VFIO IOMMU_UNMAP_DMA)', () => {
    const { card } = powered();
    const memory = ram();
    card.mapDma(memory);
    expect(() => card.mapDma(ram())).toThrow(expect.objectContaining({ name: 'DeviceError', errno: 17 }));
    expect(() => card.unmapDma(0x10_000n, 0x800n)).toThrow(refusal);
    expect(card.unmapDma(0x10_000n, 0x1000n)).toEqual([memory]);
    expect(card.unmapDma(0x10_000n, 0x1000n)).toEqual([]);
  });
});

describe('resets', () => {
  test('a function-level reset through Device Control resets registers before the card is notified (PCIe 6.6.2, PCIe 7.5.3.4)', () => {
    const { card, bus } = powered();
    bus.write(0, 4, 3);
    bus.setConfig(DEVICE_CONTROL, INITIATE_FLR, 2);
    expect(card.resets).toEqual(['flr: LEDS 0']);
    expect(bus.config(DEVICE_CONTROL, 2) & INITIATE_FLR).toBe(0);
    expect(bus.config(COMMAND, 2)).toBe(0);
  });

  test("a reset by the client does the same, as kind 'device'", () => {
    const { card, bus } = powered();
    bus.write(0, 4, 3);
    card.reset();
    expect(card.resets).toEqual(['device: LEDS 0']);
    expect(bus.config(COMMAND, 2)).toBe(0);
  });

  test('a function-level reset preserves the payload size and the link settings, a device reset does not (PCIe 6.6.1, PCIe 6.6.2)', () => {
    const { card, bus } = powered();
    const linkControl = DEVICE_CONTROL + 8;
    bus.setConfig(DEVICE_CONTROL, 1 << 5, 2);
    bus.setConfig(linkControl, 0x40, 2);
    bus.setConfig(DEVICE_CONTROL, INITIATE_FLR | (1 << 5), 2);
    expect(bus.config(DEVICE_CONTROL, 2)).toBe(0x2910 | (1 << 5));
    expect(bus.config(linkControl, 2)).toBe(0x40);
    card.reset();
    expect(bus.config(DEVICE_CONTROL, 2)).toBe(0x2910);
    expect(bus.config(linkControl, 2)).toBe(0);
  });

  test('a reset preserves memory and connected interrupts, and deasserts INTx (VFIO DEVICE_RESET)', () => {
    const { card, bus } = powered();
    const [sink] = bus.connect(Irq.INTX);
    bus.write(2, 0, 0x55);
    card.irqs.setIntx(true);
    card.reset();
    expect(bus.config(0x06, 2) & 8).toBe(0);
    bus.irq('unmask', Irq.INTX);
    expect(sink!.triggers).toBe(1);
    card.irqs.setIntx(true);
    expect(sink!.triggers).toBe(2);
    expect(sink!.closes).toBe(0);
    expect(card.memory.bytes[0]).toBe(0x55);
  });
});

describe('closing a card', () => {
  test('releases memory and sinks once, however often it is closed', () => {
    let closed = 0;
    const allocate = (sizeBytes: number): CardMemory => ({ bytes: new Uint8Array(sizeBytes), close: () => closed++ });
    const card = new BlinkCard({ allocate });
    const bus = new TestBus(card);
    const sinks = [0, 1, 2, 3, 4].flatMap((index) => bus.connect(index));
    card.close();
    card.close();
    expect(closed).toBe(1);
    expect(sinks.map(({ closes }) => closes)).toEqual([1, 1, 1, 1, 1]);
  });
});

describe('a card that is closed', () => {
  test('has been reset, so that no operation continues while its memory is released', () => {
    const order: string[] = [];
    class Watched extends BlinkCard {
      protected override onReset(kind: string): void {
        order.push(kind);
      }
    }
    const allocate = (sizeBytes: number): CardMemory => ({
      bytes: new Uint8Array(sizeBytes),
      close: () => order.push('memory'),
    });
    new Watched({ allocate }).close();
    expect(order).toEqual(['device', 'memory']);
  });

  test('has released its memory even if its reset throws', () => {
    let closed = 0;
    class Faulty extends BlinkCard {
      protected override onReset(): void {
        throw new Error('a model error');
      }
    }
    const allocate = (sizeBytes: number): CardMemory => ({ bytes: new Uint8Array(sizeBytes), close: () => closed++ });
    const card = new Faulty({ allocate });
    expect(() => card.close()).toThrow('a model error');
    expect(closed).toBe(1);
  });

  test('has stopped the clock that it created, and not one that was passed to it', async () => {
    class Clocked extends PciCard {
      constructor(environment: CardEnvironment = {}) {
        super({ vendorId: 0x1234, deviceId: 1, classCode: 0 }, environment);
      }

      get time() {
        return this.clock;
      }
    }
    const own = new Clocked();
    let ran = 0;
    own.time.after(0, () => ran++);
    own.close();
    await new Promise((resolve) => setImmediate(resolve));
    expect(ran).toBe(0);

    const clock = new ManualClock();
    new Clocked({ clock }).close();
    clock.after(0, () => ran++);
    clock.runDue();
    expect(ran).toBe(1);
  });
});

describe('an invalid card definition throws an error that says why', () => {
  class AnyCard extends PciCard {
    constructor(change: Partial<CardIdentity>, build: (card: AnyCard) => void = () => {}) {
      super({ vendorId: 0x1234, deviceId: 1, classCode: 0, ...change }, { clock: new ManualClock() });
      build(this);
    }

    memory(index: number, sizeBytes: number, width: 32 | 64 = 32, mappable = false): void {
      this.memoryBar(index, sizeBytes, { width, mappable });
    }

    small(): void {
      this.registerBar(0, registerMap({ ID: { offset: 0, access: 'ro' } }, { sizeBytes: 256 }));
    }
  }

  test.each<[string, Partial<CardIdentity>, (card: AnyCard) => void, string]>([
    ['a size that is no power of two', {}, (c) => c.memory(0, 24_000), 'BAR 0 (memory) is 24000 bytes: a BAR'],
    ['a size below 16 bytes', {}, (c) => c.memory(0, 8), 'BAR 0 (memory) is 8 bytes: a BAR is at least 16'],
    ['a 32-bit BAR of 4 GiB', {}, (c) => c.memory(0, 2 ** 32), 'make it 64-bit'],
    ['a BAR number beyond 5', {}, (c) => c.memory(6, 4096), 'BAR 6 (memory): valid BARs are 0 to 5'],
    ['a 64-bit BAR in the last slot', {}, (c) => c.memory(5, 4096, 64), 'and a 64-bit BAR uses two'],
    ['two BARs in one slot', {}, (c) => (c.memory(0, 16), c.memory(0, 16)), 'slot 0 is taken by 32-bit BAR 0 (memory)'],
    [
      'a BAR in the upper half of a 64-bit one',
      {},
      (c) => (c.memory(2, 4096, 64), c.memory(3, 4096)),
      'BAR 3 (memory): slot 3 is taken by 64-bit BAR 2 (memory), which uses slots 2 and 3',
    ],
    [
      'a 64-bit BAR whose upper half is taken by the MSI-X table',
      { msix: { bar: 4, vectors: 1 } },
      (c) => c.memory(3, 4096, 64),
      'BAR 3 (memory): slot 4 is taken by 32-bit BAR 4 (MSI-X table)',
    ],
    ['a register BAR below a page', {}, (c) => c.small(), 'BAR 0 (registers) is 256 bytes'],
    ['a mappable BAR below a page', {}, (c) => c.memory(0, 256, 32, true), 'a client maps whole pages of 4096 bytes'],
    ['three MSI vectors', { msi: { vectors: 3 } }, () => {}, 'msi.vectors is 3: MSI allows only 1, 2, 4'],
    ['64 MSI vectors', { msi: { vectors: 64 } }, () => {}, 'msi.vectors is 64: it must be an integer from 1 to 32'],
    ['no MSI-X vectors', { msix: { bar: 0, vectors: 0 } }, () => {}, 'msix.vectors is 0'],
    ['too many MSI-X vectors', { msix: { bar: 0, vectors: 2049 } }, () => {}, 'from 1 to 2048'],
    ['MSI-X in BAR 6', { msix: { bar: 6, vectors: 1 } }, () => {}, 'msix.bar is 6'],
    ['the vendor of an empty slot', { vendorId: 0xffff }, () => {}, 'vendorId is 0xffff: it must be an integer from 2'],
    ['the vendor that means "not ready yet"', { vendorId: 1 }, () => {}, 'vendorId is 1: it must be an integer from 2'],
    [
      'the class of a PCI-to-PCI bridge',
      { classCode: 0x06_04_00 },
      () => {},
      'a PCI-to-PCI bridge, which has a type 1',
    ],
    [
      'the class of a transparent bridge',
      { classCode: 0x06_09_40 },
      () => {},
      'which has a type 1 header: a card is an',
    ],
    [
      'the class of a CardBus bridge',
      { classCode: 0x06_07_00 },
      () => {},
      'a CardBus bridge, which has a type 2 header',
    ],
    [
      'the class of an event collector',
      { classCode: 0x08_07_00 },
      () => {},
      'which is part of a root complex: a card is',
    ],
    [
      'a link of 3 lanes',
      { link: { generation: 3, lanes: 3 as 4 } },
      () => {},
      'link.lanes is 3: it must be one of 1, 2, 4',
    ],
    ['a class code of 32 bits', { classCode: 0x1200_0000 }, () => {}, 'classCode is 0x12000000'],
    ['a serial number of 65 bits', { serialNumber: 1n << 64n }, () => {}, 'serialNumber is 0x10000000000000000'],
  ])('%s', (_, change, build, message) => {
    const make = (): AnyCard => new AnyCard(change, build);
    expect(make).toThrow(CardDefinitionError);
    expect(make).toThrow(message);
  });
});
