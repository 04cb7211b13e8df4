/** The table "Resets" of docs/writing-a-card.md: what each kind of reset leaves and clears, row by row. */
import { describe, expect, it, test } from 'vitest';
import { ManualClock } from '../clock';
import { RESET_KINDS, registerMap, type ResetKind } from '../registers';
import { PciCard } from './card';
import { type CardIdentity } from './identity';
import { Region } from './vfio-layout';
import {
  BUS_MASTER,
  COMMAND,
  D3_HOT,
  DEVICE_CONTROL,
  INITIATE_FLR,
  INTERRUPT_STATUS,
  MEMORY_SPACE,
  MSI,
  MSIX,
  PMCSR,
  STATUS,
  TestBus,
} from '../../test/support/pci-bus';

const ALL_ONES = 0xffff_ffff;
const BAR0 = 0x10;
const INTERRUPT_LINE = 0x3c;
const DEVICE_CAPABILITIES = DEVICE_CONTROL - 4;
const LINK_CONTROL = DEVICE_CONTROL + 0x08;
const LINK_CONTROL_2 = DEVICE_CONTROL + 0x28;
const NO_SOFT_RESET = 1 << 3;
const MAX_PAYLOAD_256 = 1 << 5;

const REGISTERS = registerMap({
  PLAIN: { offset: 0x0, access: 'rw', reset: 0x11 },
  USER_LOGIC: { offset: 0x4, access: 'rw', survives: ['flr'] },
  STICKY: { offset: 0x8, access: 'rw', survives: 'sticky' },
});

class ResetCard extends PciCard {
  readonly registers = this.registerBar(0, REGISTERS);
  readonly memory = this.memoryBar(2, 4096);
  readonly seen: string[] = [];

  constructor(
    change: Partial<CardIdentity> = {},
    readonly time = new ManualClock(),
  ) {
    const identity = { vendorId: 0x1234, deviceId: 0x4743, classCode: 0x12_00_00, intx: 'A', ...change } as const;
    super({ msi: { vectors: 2 }, msix: { bar: 4, vectors: 2 }, ...identity }, { clock: time });
  }

  get irqs() {
    return this.interrupts;
  }

  protected override onReset(kind: ResetKind): void {
    this.seen.push(`${kind}: USER_LOGIC ${this.registers.get('USER_LOGIC')}`);
  }
}

function powered(change?: Partial<CardIdentity>) {
  const card = new ResetCard(change);
  const bus = new TestBus(card);
  bus.setConfig(BAR0, 0xe000_0000);
  bus.command(MEMORY_SPACE | BUS_MASTER);
  return { card, bus };
}

/** Resets as each is caused. */
function resetBy(kind: ResetKind, bus: TestBus): void {
  if (kind === 'flr') return bus.setConfig(DEVICE_CONTROL, bus.config(DEVICE_CONTROL, 2) | INITIATE_FLR, 2);
  if (kind !== 'd3hot') return bus.device.reset(kind);
  bus.setConfig(PMCSR, D3_HOT, 2);
  bus.setConfig(PMCSR, 0, 2);
}

/** Something of the function: how it is changed and read, its reset value, and the resets that leave it changed. */
interface Row {
  readonly change: (bus: TestBus, card: ResetCard) => void;
  readonly read: (bus: TestBus, card: ResetCard) => number;
  readonly initial: number;
  readonly changed: number;
  readonly kept: readonly ResetKind[];
}

const inConfig = (offset: number, sizeBytes: 1 | 2 | 4, changed: number, initial: number, kept: Row['kept'] = []) => ({
  change: (bus: TestBus) => bus.setConfig(offset, changed, sizeBytes),
  read: (bus: TestBus) => bus.config(offset, sizeBytes),
  initial,
  changed,
  kept,
});
const register = (name: 'PLAIN' | 'USER_LOGIC' | 'STICKY', initial: number, kept: Row['kept']) => ({
  change: (_: TestBus, { registers }: ResetCard) => registers.set(name, 0x55),
  read: (_: TestBus, { registers }: ResetCard) => registers.get(name),
  initial,
  changed: 0x55,
  kept,
});
const linkIsUp = ['flr', 'd3hot'] as const;
const allButPower = RESET_KINDS.filter((kind) => kind !== 'power');

const rows: Record<string, Row> = {
  'the command register': inConfig(COMMAND, 2, 0x0506, 0),
  'a BAR': inConfig(BAR0, 4, 0xe123_4000, 0),
  'the interrupt line': inConfig(INTERRUPT_LINE, 1, 0x5a, 0),
  'the enable bit of MSI': inConfig(MSI + 2, 2, 0x0183, 0x0182),
  'the address of MSI': inConfig(MSI + 4, 4, 0xfee0_0000, 0),
  'the mask of MSI': inConfig(MSI + 0x10, 4, 3, 0),
  'the enable bit of MSI-X': inConfig(MSIX + 2, 2, 0xc001, 1),
  'the MSI-X table': {
    change: (bus) => bus.write(4, 0xc, 0),
    read: (bus) => (bus.command(MEMORY_SPACE), bus.read(4, 0xc)),
    initial: 1,
    changed: 0,
    kept: [],
  },
  'INTx': {
    change: (_, { irqs }) => irqs.setIntx(true),
    read: (bus) => bus.config(STATUS, 2) & INTERRUPT_STATUS,
    initial: 0,
    changed: INTERRUPT_STATUS,
    kept: [],
  },
  'error reporting in Device Control': inConfig(DEVICE_CONTROL, 2, 0x291f, 0x2910),
  'the payload size': inConfig(DEVICE_CONTROL, 2, 0x2910 | MAX_PAYLOAD_256, 0x2910, linkIsUp),
  'Link Control': inConfig(LINK_CONTROL, 2, 0x40, 0, linkIsUp),
  'the target speed in Link Control 2, which is sticky': inConfig(LINK_CONTROL_2, 2, 1, 3, allButPower),
  'a register': register('PLAIN', 0x11, []),
  'a register that survives function-level resets': register('USER_LOGIC', 0, ['flr']),
  'a sticky register': register('STICKY', 0, allButPower),
  'memory of the card': {
    change: (_, { memory }) => void (memory.bytes[8] = 0x77),
    read: (_, { memory }) => memory.bytes[8]!,
    initial: 0,
    changed: 0x77,
    kept: RESET_KINDS,
  },
};

describe.each(RESET_KINDS)("a reset of the kind '%s' (PCIe 6.6.1, PCIe 6.6.2)", (kind) => {
  test.each(Object.entries(rows))('leaves or clears %s as documented', (_, row) => {
    const { card, bus } = powered({ noSoftReset: false });
    expect(row.read(bus, card)).not.toBe(row.changed);
    row.change(bus, card);
    expect(row.read(bus, card)).toBe(row.changed);
    resetBy(kind, bus);
    expect(row.read(bus, card)).toBe(row.kept.includes(kind) ? row.changed : row.initial);
  });

  it('is named in onReset, which sees the registers that survive it', () => {
    const { card, bus } = powered({ noSoftReset: false });
    card.registers.set('USER_LOGIC', 5);
    resetBy(kind, bus);
    expect(card.seen).toEqual([`${kind}: USER_LOGIC ${kind === 'flr' ? 5 : 0}`]);
  });
});

describe('the return from D3hot to D0', () => {
  it('with No_Soft_Reset keeps everything (PCIe 7.5.2.2)', () => {
    const { card, bus } = powered();
    card.registers.set('PLAIN', 0x55);
    resetBy('d3hot', bus);
    expect(card.seen).toEqual([]);
    expect([bus.config(BAR0), bus.config(COMMAND, 2), bus.read(0, 0)]).toEqual([0xe000_0000, 6, 0x55]);
    expect(bus.config(PMCSR, 2)).toBe(NO_SOFT_RESET);
  });

  it('without it leaves the function in D0, uninitialised (PCIe 5.3.1.4)', () => {
    const { bus } = powered({ noSoftReset: false });
    resetBy('d3hot', bus);
    expect([bus.config(PMCSR, 2), bus.config(COMMAND, 2), bus.read(0, 0)]).toEqual([0, 0, ALL_ONES]);
  });

  it('is no return when the function was in D0 already', () => {
    const { card, bus } = powered({ noSoftReset: false });
    bus.setConfig(PMCSR, 0, 2);
    expect(card.seen).toEqual([]);
  });
});

describe('a function without a function-level reset', () => {
  it('says so, and a write of Initiate Function Level Reset does nothing (PCIe 7.5.3.3, PCIe 7.5.3.4)', () => {
    const { card, bus } = powered({ functionLevelReset: false });
    expect(bus.config(DEVICE_CAPABILITIES) & (1 << 28)).toBe(0);
    card.registers.set('PLAIN', 0x55);
    resetBy('flr', bus);
    expect(card.seen).toEqual([]);
    expect(bus.read(0, 0)).toBe(0x55);
    expect(bus.config(DEVICE_CONTROL, 2)).toBe(0x2910);
  });
});

describe('a function that is slow after a reset', () => {
  const slow = { readyAfterNs: { flr: 1000, device: 500 } };

  it('reads all ones and loses writes until the time is over (PCIe 6.6.2)', () => {
    const { card, bus } = powered(slow);
    resetBy('flr', bus);
    card.time.advance(999);
    expect([bus.config(0), bus.config(COMMAND), bus.read(0, 0)]).toEqual([ALL_ONES, ALL_ONES, ALL_ONES]);
    bus.command(MEMORY_SPACE);
    card.time.advance(1);
    expect([bus.config(0), bus.config(COMMAND, 2)]).toEqual([0x4743_1234, 0]);
    bus.command(MEMORY_SPACE);
    expect(bus.read(0, 0)).toBe(0x11);
  });

  it('takes the time of the kind of reset, which begins again in another', () => {
    const { card, bus } = powered(slow);
    resetBy('flr', bus);
    card.time.advance(900);
    resetBy('device', bus);
    card.time.advance(499);
    expect(bus.config(0)).toBe(ALL_ONES);
    card.time.advance(1);
    expect(bus.config(0)).toBe(0x4743_1234);
  });

  it('is ready at once after power-on, and when it is reset before it was used', () => {
    const card = new ResetCard(slow);
    const bus = new TestBus(card);
    card.reset();
    expect(bus.config(0)).toBe(0x4743_1234);
  });

  it('publishes when it is not ready, and ready again', () => {
    const { card, bus } = powered(slow);
    const states: string[] = [];
    card.inspection.events.subscribe((event) => {
      if (event.kind === 'state' && event.part === 'function') states.push(event.state);
    });
    resetBy('flr', bus);
    card.time.advance(1000);
    expect(states).toEqual(['not ready', 'ready']);
  });

  it('cannot have a time that is none, or a kind of reset that there is not', () => {
    expect(() => powered({ readyAfterNs: { flr: -1 } })).toThrow("readyAfterNs['flr'] is -1");
    expect(() => powered({ readyAfterNs: { hot: 1 } as object })).toThrow(
      "readyAfterNs has 'hot': the kinds of resets are device, flr, d3hot, link-down, power",
    );
  });
});

test('an access to a function that is not ready is still refused beyond its end', () => {
  const { bus } = powered({ readyAfterNs: { flr: 1000 } });
  resetBy('flr', bus);
  expect(() => bus.read(Region.CONFIG, 4096)).toThrow('access of 4 bytes at offset 0x1000');
});
