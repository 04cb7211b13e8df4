import { describe, expect, test } from 'vitest';
import { InProcessHost } from '../host';
import { type RegisterFile, type RegisterMap, registerMap, type WriteHook } from '../registers';
import { type InterruptMode, type InterruptWiring, PciCard } from '.';

const IDENTITY = {
  vendorId: 0x1234,
  deviceId: 0x4750,
  classCode: 0x12_00_00,
  intx: 'A',
  msix: { bar: 4, vectors: 32 },
} as const;

/** A card with one map of registers, a host around it, and the vectors of the messages that have arrived. */
function setUp<C extends PciCard & { registers: RegisterFile }>(card: C, mode: 'intx' | 'msix' = 'msix') {
  const host = new InProcessHost(card);
  const arrived: number[] = [];
  host.interrupts.onInterrupt = (vector) => arrived.push(vector);
  host.useInterrupts(mode, mode === 'intx' ? 1 : 32);
  const driver = host.registers(0, card.registers.map as RegisterMap);
  return {
    card,
    host,
    write: (path: string, value: number) => driver.write(path, value),
    read: (path: string) => Number(driver.read(path)),
    /** Since the last call. */
    messages: () => arrived.splice(0),
    /** The level of INTx: a client that unmasks it is interrupted again while it is asserted. */
    isAsserted: () => {
      arrived.length = 0;
      host.interrupts.unmaskIntx();
      return arrived.splice(0).length > 0;
    },
  };
}

const AXI_INTC = registerMap({
  ISR: { offset: 0x00, access: 'w1s', doc: 'Interrupt status.' },
  IPR: { offset: 0x04, access: 'ro', doc: 'Interrupt pending.' },
  IER: { offset: 0x08, access: 'rw', doc: 'Interrupt enable.' },
  IAR: { offset: 0x0c, aliasOf: 'ISR', access: 'wo1c', doc: 'Interrupt acknowledge.' },
  SIE: { offset: 0x10, aliasOf: 'IER', access: 'wo1s', doc: 'Set interrupt enable.' },
  CIE: { offset: 0x14, aliasOf: 'IER', access: 'wo1c', doc: 'Clear interrupt enable.' },
  IVR: { offset: 0x18, access: 'ro', doc: 'Interrupt vector.' },
  MER: { offset: 0x1c, access: 'rw', fields: { ME: [0], HIE: { bits: [1], access: 'w1s' } } },
});

class AxiIntc extends PciCard {
  readonly registers = this.registerBar(0, AXI_INTC);
  readonly irq = this.interruptBlock(this.registers, {
    ...{ status: 'ISR', enable: 'IER', pending: 'IPR', master: 'MER.ME', hardwareEnable: 'MER.HIE' },
    trigger: (source) => (source < 2 ? 'posedge' : 'level'),
    vectors: 0,
    messages: 'vector',
  });
  constructor() {
    super(IDENTITY);
    this.registers.onRead('IVR', () => (31 - Math.clz32(this.irq.pending & -this.irq.pending)) >>> 0);
  }
}

describe('an interrupt block like AXI INTC (PG099)', () => {
  test('is enabled by SIE and MER, shows the vector of the lowest source, and is acknowledged by IAR', () => {
    const { card, read, write, isAsserted } = setUp(new AxiIntc(), 'intx');
    write('MER', 3);
    write('SIE', 0b1011);
    write('CIE', 0b0010);
    expect(read('IER')).toBe(0b1001);
    card.irq.raise(1);
    expect([read('ISR'), read('IPR'), read('IVR'), isAsserted()]).toEqual([0b10, 0, 0xffff_ffff, false]);
    card.irq.set(3, true);
    card.irq.raise(0);
    expect([read('IPR'), read('IVR'), isAsserted()]).toEqual([0b1001, 0, true]);
    write('IAR', 0b1011);
    expect([read('ISR'), read('IVR'), isAsserted()]).toEqual([0b1000, 3, true]); // the level is still there
    card.irq.set(3, false);
    expect(read('ISR')).toBe(0b1000);
    write('IAR', 0b1000);
    expect([read('ISR'), isAsserted()]).toEqual([0, false]);
  });

  test('takes no input before HIE, where ISR can be forced, and sends one message for all sources', () => {
    const { card, read, write, messages } = setUp(new AxiIntc());
    write('IER', 0xff);
    write('MER', 1);
    card.irq.raise(0);
    expect([read('ISR'), messages()]).toEqual([0, []]);
    write('ISR', 0b10);
    expect([read('IPR'), messages()]).toEqual([0b10, [0]]);
    write('MER', 3);
    card.irq.raise(0);
    expect([read('IPR'), messages()]).toEqual([0b11, []]);
    write('IAR', 0b11);
    card.irq.raise(0);
    expect(messages()).toEqual([0]);
  });
});

const LITEX = registerMap({
  STATUS: { offset: 0, access: 'ro', doc: 'Levels of the events.' },
  PENDING: { offset: 4, access: 'w1c', fields: { TX: [0], RX: [1], TIMER: [2] } },
  ENABLE: { offset: 8, access: 'rw' },
});

class LiteX extends PciCard {
  readonly registers = this.registerBar(0, LITEX);
  readonly irq = this.interruptBlock(this.registers, {
    ...{ input: 'STATUS', status: 'PENDING', enable: 'ENABLE' },
    trigger: (source) => (['negedge', 'nonsticky', 'posedge'] as const)[source]!,
  });
  constructor() {
    super(IDENTITY);
  }
}

test('an interrupt block like LiteX EventManager has events of edges and of levels, which status shows', () => {
  const { card, read, write, messages } = setUp(new LiteX());
  write('ENABLE', 7);
  card.irq.set('TX', true);
  expect([read('STATUS'), read('PENDING')]).toEqual([1, 0]);
  card.irq.set('TX', false);
  card.irq.set('RX', true);
  card.irq.raise('TIMER');
  expect([read('STATUS'), read('PENDING'), messages()]).toEqual([0b010, 0b111, [0, 1, 2]]);
  write('PENDING', 7);
  expect([read('PENDING'), messages()]).toEqual([0b010, []]);
  card.irq.set('RX', false);
  expect(read('PENDING')).toBe(0);
  expect(() => card.irq.raise('RX')).toThrow('use set(RX, …)');
  // @ts-expect-error -- there is no such source
  expect(() => card.irq.raise('TXX')).toThrow('There is no source TXX in PENDING, which has TX, RX, TIMER.');
});

const E1000_MAP = registerMap({
  ICR: {
    offset: 0xc0,
    access: 'w1crc',
    fields: { TXDW: [0], LSC: [2], RXT0: [7] },
    doc: 'Causes; cleared by reading.',
  },
  ICS: { offset: 0xc8, aliasOf: 'ICR', access: 'wo1s', doc: 'Sets causes.' },
  IMS: { offset: 0xd0, access: 'w1s', doc: 'Mask: 1 interrupts.' },
  IMC: { offset: 0xd8, aliasOf: 'IMS', access: 'wo1c', doc: 'Clears mask bits.' },
});

class E1000 extends PciCard {
  readonly registers = this.registerBar(0, E1000_MAP);
  readonly irq = this.interruptBlock(this.registers, { status: 'ICR', enable: 'IMS', vectors: 0 });
  constructor() {
    super(IDENTITY);
  }
}

test('an interrupt block like ICR, ICS, IMS and IMC of e1000 is deasserted by reading the causes', () => {
  const { card, read, write, isAsserted } = setUp(new E1000(), 'intx');
  write('ICS', 0x84);
  expect(isAsserted()).toBe(false);
  write('IMS', 0x04);
  write('IMS', 0x01);
  expect([read('IMS'), read('IMC'), isAsserted()]).toEqual([0x05, 0, true]);
  write('IMC', 0x04);
  expect(isAsserted()).toBe(false);
  card.irq.raise('TXDW');
  expect(isAsserted()).toBe(true);
  expect([read('ICR'), read('ICR'), isAsserted()]).toEqual([0x85, 0, false]);
});

const numbers = { V0: [4, 0], V1: [12, 8], V2: [20, 16], V3: [28, 24] } as const;
const XDMA = registerMap({
  USER_ENABLE: { offset: 0x04, access: 'rw', fields: { USER: [15, 0] } },
  USER_ENABLE_W1S: { offset: 0x08, aliasOf: 'USER_ENABLE', access: 'w1s' },
  USER_ENABLE_W1C: { offset: 0x0c, aliasOf: 'USER_ENABLE', access: 'w1c' },
  CHANNEL_ENABLE: { offset: 0x10, access: 'rw', fields: { CHANNEL: [7, 0] } },
  USER_REQUEST: { offset: 0x40, access: 'ro', fields: { USER: [15, 0] } },
  CHANNEL_REQUEST: { offset: 0x44, access: 'ro', fields: { CHANNEL: [7, 0] } },
  USER_PENDING: { offset: 0x48, access: 'ro', fields: { USER: [15, 0] } },
  CHANNEL_PENDING: { offset: 0x4c, access: 'ro', fields: { CHANNEL: [7, 0] } },
  USER_VECTOR: { offset: 0x80, stride: 4, count: 4, registers: { N: { offset: 0, access: 'rw', fields: numbers } } },
  CHANNEL_VECTOR: { offset: 0xa0, stride: 4, count: 2, registers: { N: { offset: 0, access: 'rw', fields: numbers } } },
});

class Xdma extends PciCard {
  readonly registers = this.registerBar(0, XDMA);
  readonly user = this.interruptBlock(this.registers, {
    ...{ status: 'USER_REQUEST', enable: 'USER_ENABLE', pending: 'USER_PENDING', trigger: 'nonsticky' },
    vectors: (n) => `USER_VECTOR[${n >> 2}].N.V${(n & 3) as 0 | 1 | 2 | 3}`,
  });
  readonly channel = this.interruptBlock(this.registers, {
    ...{ status: 'CHANNEL_REQUEST', enable: 'CHANNEL_ENABLE', pending: 'CHANNEL_PENDING', trigger: 'nonsticky' },
    vectors: (n) => `CHANNEL_VECTOR[${n >> 2}].N.V${(n & 3) as 0 | 1 | 2 | 3}`,
  });
  constructor() {
    super(IDENTITY);
  }
}

describe('an interrupt block like that of XDMA (PG195)', () => {
  test('sends the vectors that its registers choose, when a request comes or is enabled', () => {
    const { card, read, write, messages } = setUp(new Xdma());
    write('USER_VECTOR[1].N', 0x1f_00_00);
    write('CHANNEL_VECTOR[0].N', 0x05_00);
    write('USER_ENABLE_W1S', 0x40);
    write('CHANNEL_ENABLE', 0xff);
    card.user.set(6, true);
    card.user.set(5, true);
    card.channel.set(1, true);
    expect([read('USER_REQUEST'), read('USER_PENDING'), messages()]).toEqual([0x60, 0x40, [31, 5]]);
    write('USER_ENABLE_W1S', 0x20);
    expect(messages()).toEqual([0]);
    write('USER_ENABLE_W1C', 0x60);
    expect([read('USER_PENDING'), read('USER_REQUEST')]).toEqual([0, 0x60]);
  });

  test('asserts INTx while either of its two parts has a pending source, and not after a reset', () => {
    const { card, host, write, isAsserted } = setUp(new Xdma(), 'intx');
    write('USER_ENABLE', 1);
    write('CHANNEL_ENABLE', 1);
    card.user.set(0, true);
    card.channel.set(0, true);
    card.user.set(0, false);
    expect(isAsserted()).toBe(true);
    card.channel.set(0, false);
    expect(isAsserted()).toBe(false);
    card.channel.set(0, true);
    host.reset('flr');
    host.useInterrupts('intx');
    write('CHANNEL_ENABLE', 1);
    expect(isAsserted()).toBe(false);
  });
});

test('an interrupt block whose enable bit is cleared by reading, as in I/OAT, is armed again by writing it', () => {
  const map = registerMap({
    INTRCTRL: { offset: 0, width: 8, access: 'ro', fields: { MASTER: { bits: [0], access: 'wrc' } } },
    ATTNSTATUS: { offset: 4, access: 'rc' },
  });
  const { card, read, write, isAsserted } = setUp(
    new Card(map, { status: 'ATTNSTATUS', master: 'INTRCTRL.MASTER' }),
    'intx',
  );
  write('INTRCTRL', 1);
  card.irq.raise(3);
  expect(isAsserted()).toBe(true);
  expect([read('INTRCTRL'), isAsserted(), read('INTRCTRL')]).toEqual([1, false, 0]);
  write('INTRCTRL', 1);
  expect(isAsserted()).toBe(true);
  expect([read('ATTNSTATUS'), isAsserted()]).toEqual([8, false]);
});

class Card extends PciCard {
  readonly registers: RegisterFile;
  readonly irq;
  constructor(map: RegisterMap, wiring: InterruptWiring, onStatus?: WriteHook) {
    super(IDENTITY);
    this.registers = this.registerBar(0, map) as RegisterFile;
    this.irq = this.interruptBlock(this.registers, wiring);
    if (onStatus) this.registers.onWrite(wiring.status, onStatus);
  }
  get mode(): InterruptMode {
    return this.interrupts.mode;
  }
}

describe('messages of an interrupt block', () => {
  const map = registerMap({
    STATUS: { offset: 0, access: 'w1c' },
    MASK: { offset: 4, access: 'rw', reset: 0xffff_fffe },
    FORCE: { offset: 8, access: 'wo' },
    COUNT: { offset: 12, access: 'ro' },
  });
  const wiring = { status: 'STATUS', mask: 'MASK', force: 'FORCE', count: 'COUNT' };

  test.each([
    ['pending', 1],
    ['raise', 2],
  ] as const)('for %s: a source triggered twice before it is acknowledged sends %s', (messages, count) => {
    const { card, read, write, messages: arrived } = setUp(new Card(map, { ...wiring, messages }));
    card.irq.raise(0);
    write('FORCE', 0b11);
    expect([arrived().length, read('COUNT'), read('STATUS')]).toEqual([count, count, 0b11]);
    write('STATUS', 1);
    card.irq.raise(0);
    expect(arrived()).toEqual([0]);
    write('MASK', 0);
    expect(arrived()).toEqual([1]);
  });

  test('are sent again when a level is still there after it was acknowledged', () => {
    const { card, write, messages } = setUp(new Card(map, { ...wiring, trigger: 'level' }));
    card.irq.set(0, true);
    write('STATUS', 1);
    card.irq.set(0, false);
    write('STATUS', 1);
    expect(messages()).toEqual([0, 0]);
  });

  test('follow both edges of an input', () => {
    const { card, write, messages } = setUp(new Card(map, { ...wiring, trigger: 'bothedge' }));
    for (const level of [true, true, false]) {
      card.irq.set(0, level);
      write('STATUS', 1);
    }
    expect(messages()).toEqual([0, 0]);
  });
});

test('an interrupt block is refused with registers that are not there, are aliases, or have 64 bits', () => {
  const map = registerMap({
    STATUS: { offset: 0, access: 'w1c' },
    CLEAR: { offset: 4, aliasOf: 'STATUS', access: 'wo1c' },
    WIDE: { offset: 8, width: 64, access: 'w1c' },
  });
  expect(() => new Card(map, { status: 'STATUS', enable: 'ENABLE' })).toThrow("There is no 'ENABLE' among");
  expect(() => new Card(map, { status: 'CLEAR' })).toThrow('CLEAR is an alias of STATUS');
  expect(() => new Card(map, { status: 'WIDE' })).toThrow('WIDE has 64 bits: an interrupt block has up to 32 sources');
  expect(() => new Card(map, { status: 'STATUS', vectors: (n) => `V${n}` })).toThrow("There is no 'V0' among");
});
