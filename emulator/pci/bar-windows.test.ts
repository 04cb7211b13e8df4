/** MSI-X table and pending bits in BARs of the card's own registers and memory, as most real cards have them. */
import { describe, expect, test } from 'vitest';
import { BUS_MASTER, MEMORY_SPACE, MSIX, TestBus } from '../../test/support/pci-bus';
import { registerMap } from '../registers';
import { type CardMemory } from './memory-bar';
import { PciCard } from './card';
import { type MsixIdentity } from './identity';
import { Irq } from './vfio-layout';

const PAGE = 4096;
const REGISTERS = registerMap(
  {
    ID: { offset: 0, access: 'ro', reset: 1 },
    BEFORE: { offset: 0x7ffc, access: 'rw' },
    MODE: { offset: 0x8800, access: 'rw' },
  },
  { sizeBytes: 0x1_0000 },
);

/** Registers in BAR 1, and 64 KiB of mappable memory in BARs 2 and 3; 32 vectors. */
class MixedCard extends PciCard {
  readonly registers = this.registerBar(1, REGISTERS);
  readonly memory = this.memoryBar(2, 0x1_0000, { mappable: true });

  constructor(msix: Partial<MsixIdentity>) {
    const allocate = (sizeBytes: number): CardMemory => ({ bytes: new Uint8Array(sizeBytes), fd: 3, close: () => {} });
    const identity = { vendorId: 0x10ee, deviceId: 0x903f, classCode: 0x12_00_00 };
    super({ ...identity, msix: { bar: 1, vectors: 32, ...msix } }, { allocate });
  }

  ring(vector: number): void {
    this.interrupts.signal(vector);
  }
}

function setUp(msix: Partial<MsixIdentity>) {
  const card = new MixedCard(msix);
  const bus = new TestBus(card);
  bus.command(MEMORY_SPACE | BUS_MASTER);
  return { card, bus };
}

describe('an MSI-X table inside a BAR of registers', () => {
  const place = { tableOffset: 0x8000, pbaOffset: 0x9000 };

  test('is where the capability says, and the BAR has the size of the registers (PCI 6.8.2.4)', () => {
    const { card, bus } = setUp(place);
    expect([bus.config(MSIX + 4), bus.config(MSIX + 8)]).toEqual([0x8001, 0x9001]);
    expect(card.layout.regions.map(({ sizeBytes }) => sizeBytes).slice(0, 4)).toEqual([0, 0x1_0000, 0x1_0000, 0]);
  });

  test('answers its own part of the BAR, and the registers the rest', () => {
    const { card, bus } = setUp(place);
    bus.write(1, 0x8018, 0xaffe);
    bus.write(1, 0x8800, 5);
    expect([bus.read(1, 0), bus.read(1, 0x8018), bus.read(1, 0x801c), bus.read(1, 0x8200)]).toEqual([1, 0xaffe, 1, 0]);
    expect(card.registers.get('MODE')).toBe(5);
  });

  test('takes its part of an access that begins in a register', () => {
    const { card, bus } = setUp(place);
    card.writeRegion(1, 0x7ffc, Uint8Array.of(1, 2, 3, 4, 8, 6, 7, 8));
    expect([card.registers.get('BEFORE'), bus.read(1, 0x8000)]).toEqual([0x0403_0201, 0x0807_0608]);
    const data = new Uint8Array(12);
    card.readRegion(1, 0x7ffc, data);
    expect([...data]).toEqual([1, 2, 3, 4, 8, 6, 7, 8, 0, 0, 0, 0]);
  });

  test('masks a vector, whose pending bit is in the same BAR', () => {
    const { card, bus } = setUp(place);
    bus.setConfig(MSIX + 2, 0x8000, 2);
    const sinks = bus.connect(Irq.MSIX, 32);
    bus.write(1, 0x8000 + 16 * 3 + 12, 1);
    card.ring(3);
    expect([bus.read(1, 0x9000), sinks[3]!.triggers]).toEqual([1 << 3, 0]);
    bus.write(1, 0x8000 + 16 * 3 + 12, 0);
    expect([bus.read(1, 0x9000), sinks[3]!.triggers]).toEqual([0, 1]);
  });

  test('gives its pending bits the next page unless told otherwise', () => {
    expect(setUp({ tableOffset: 0x8010 }).bus.config(MSIX + 8)).toBe(0x9001);
  });

  test.each<[string, Partial<MsixIdentity>, string]>([
    [
      'that contains a register',
      { tableOffset: 0x8700 },
      'BAR 1 (registers): MODE (32 bits at 0x8800) lies in the MSI-X table (0x8700 to 0x88ff): move one of them',
    ],
    [
      'whose pending bits contain a register',
      { tableOffset: 0x8000, pbaOffset: 0x8800 },
      'MODE (32 bits at 0x8800) lies in the pending bits of MSI-X (0x8800 to 0x8807)',
    ],
    [
      'that leaves the BAR',
      { tableOffset: 0xff00 },
      'BAR 1 (registers) is 0x10000 bytes: the MSI-X table (0xff00 to 0x100ff) does not fit',
    ],
    [
      'that contains its pending bits',
      { tableOffset: 0x8000, pbaOffset: 0x8100 },
      'the MSI-X table (0x8000 to 0x81ff) and the pending bits of MSI-X (0x8100 to 0x8107) overlap',
    ],
    ['at an odd offset', { tableOffset: 0x8004 }, 'msix.tableOffset is 0x8004: it must be a multiple of 8'],
    [
      'without an offset',
      {},
      'slot 1 is taken by 32-bit BAR 1 (MSI-X table); msix.tableOffset puts the table into a BAR with other contents',
    ],
  ])('is refused %s', (_, msix, message) => {
    expect(() => new MixedCard(msix)).toThrow(message);
  });
});

describe('an MSI-X table inside a mappable BAR of memory', () => {
  const place = { bar: 2, tableOffset: 0x2800, pbaOffset: 0x4ff8 };

  test('takes its pages, and those of the pending bits, out of what a client may map', () => {
    expect(setUp(place).card.layout.regions[2]!.mappable!.areas).toEqual([
      { offset: 0, sizeBytes: 2 * PAGE },
      { offset: 3 * PAGE, sizeBytes: PAGE },
      { offset: 5 * PAGE, sizeBytes: 11 * PAGE },
    ]);
  });

  test('leaves the rest of its page to the memory', () => {
    const { card, bus } = setUp(place);
    bus.write(2, 0x27fc, 7);
    bus.write(2, 0x2800, 8);
    expect([card.memory.bytes[0x27fc], card.memory.bytes[0x2800], bus.read(2, 0x2800)]).toEqual([7, 0, 8]);
  });
});

describe('pending bits in another BAR than the table', () => {
  test('lie in a BAR of the card (PCI 6.8.2.5)', () => {
    const { bus } = setUp({ bar: 1, tableOffset: 0x8000, pbaBar: 2, pbaOffset: 0x100 });
    expect([bus.config(MSIX + 4), bus.config(MSIX + 8)]).toEqual([0x8001, 0x102]);
  });

  test('have a BAR to themselves where the card has none', () => {
    const { card, bus } = setUp({ bar: 1, tableOffset: 0x8000, pbaBar: 4 });
    expect([bus.config(MSIX + 8), card.layout.regions[4]!.sizeBytes]).toEqual([4, PAGE]);
  });
});
