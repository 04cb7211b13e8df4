/**
 * The engine parts in the hands of authors: two small cards whose engines work as those of data sheets do, to show that
 * they can be expressed. One walks chains that end by a stop bit, with adjacent descriptors, credits and a completion
 * count in host memory (as AMD PG195); the other goes up to a tail pointer, and writes a status into each descriptor (as
 * AMD PG021).
 */
import { describe, expect, it } from 'vitest';
import { recordInMemory } from '../../test/support/traces';
import { ManualClock, type Wait } from '../clock';
import { InProcessHost } from '../host';
import { DmaError } from '../memory';
import { type CardEnvironment, PciCard } from '../pci';
import { offsetOf, registerBlock, registerMap } from '../registers';
import {
  CardMemoryEndpoint,
  ChainWalker,
  CompletionReporter,
  DescriptorEngine,
  Link,
  structureCodec,
  transfer,
  unlimitedLink,
} from '.';

const identity = { vendorId: 0x1234, deviceId: 0x4798, classCode: 0x12_00_00, msix: { bar: 2, vectors: 1 } } as const;

abstract class MemoryEngineCard extends PciCard {
  readonly bytes = new Uint8Array(1 << 16);
  protected readonly memory = new CardMemoryEndpoint(this);
  protected readonly link: Link;

  constructor({ bytesPerSecond = Infinity, ...environment }: CardEnvironment & { bytesPerSecond?: number }) {
    super(identity, environment);
    this.link = new Link(this.clock, { ...unlimitedLink, bytesPerSecond });
  }
}

// A chain with a stop bit.

const CHAIN = registerMap({
  CONTROL: { offset: 0x00, access: 'rw', fields: { RUN: [0], POLL_MODE: [26], CREDIT_MODE: [27] } },
  STATUS: {
    offset: 0x04,
    access: 'ro',
    fields: { BUSY: [0], STOPPED: [1], COMPLETED: [2], MAGIC: [4], READ_ERROR: [9] },
  },
  COMPLETED_COUNT: { offset: 0x08, access: 'ro' },
  CREDITS: { offset: 0x0c, access: 'wo' },
  FIRST: { offset: 0x10, width: 64, access: 'rw' },
  POLL_ADDRESS: { offset: 0x18, width: 64, access: 'rw' },
  FIRST_ADJACENT: { offset: 0x20, access: 'rw' },
});
const CHAIN_DESCRIPTOR = registerBlock({
  CONTROL: {
    offset: 0x00,
    access: 'rw',
    fields: { MAGIC: [31, 16], NEXT_ADJACENT: [13, 8], EOP: [4], COMPLETED: [1], STOP: [0] },
  },
  LENGTH: { offset: 0x04, access: 'rw', fields: { BYTES: [27, 0] } },
  SOURCE: { offset: 0x08, width: 64, access: 'rw' },
  TARGET: { offset: 0x10, width: 64, access: 'rw' },
  NEXT: { offset: 0x18, width: 64, access: 'rw' },
});
const CHAIN_CODEC = structureCodec(CHAIN_DESCRIPTOR, {
  magic: 'CONTROL.MAGIC',
  nextAdjacent: 'CONTROL.NEXT_ADJACENT',
  endOfPacket: 'CONTROL.EOP',
  interrupts: 'CONTROL.COMPLETED',
  stop: 'CONTROL.STOP',
  lengthBytes: 'LENGTH.BYTES',
  hostAddress: 'SOURCE',
  cardAddress: 'TARGET',
  next: 'NEXT',
});
const MAGIC = 0xad4b;

class MagicError extends Error {}

class ChainCard extends MemoryEngineCard {
  readonly registers = this.registerBar(0, CHAIN);
  readonly #port = this.dmaChannel('H2C0', {
    doorbells: ['CONTROL.RUN'],
    layouts: { descriptor: { fields: CHAIN_DESCRIPTOR, requestsInterrupt: 'CONTROL.COMPLETED' } },
  });
  readonly #walker = new ChainWalker(this.#port('descriptor'), CHAIN_CODEC, {
    next: ({ stop, next }) => (stop ? undefined : next),
    adjacent: ({ nextAdjacent }) => nextAdjacent,
  });
  readonly #path = { port: this.#port('data'), link: this.link, endpoint: { h2c: () => this.memory } };
  readonly #result = { movedBytes: 0, endedPacket: false };
  readonly #writeBackPort = this.#port('write-back');
  readonly #completion = new CompletionReporter({
    clock: this.clock,
    writeBack: () => this.#writeBack(),
    interrupt: () => this.interrupts.signal(0),
  });
  readonly engine = new DescriptorEngine({
    clock: this.clock,
    walker: this.#walker,
    mayRun: () => this.registers.get('CONTROL.RUN') === 1,
    started: () => this.registers.set('STATUS.BUSY', 1),
    execute: () => this.#execute(),
    completed: () => {
      this.registers.set('COMPLETED_COUNT', this.registers.get('COMPLETED_COUNT') + 1);
      this.#completion.descriptorDone(this.#walker.descriptor.interrupts === 1);
    },
    stopped: (why) => {
      this.registers.set('STATUS.BUSY', 0);
      if (why === 'not-running' || this.#walker.descriptor.stop) this.registers.set('STATUS.STOPPED', 1);
      this.#completion.idle();
    },
    failed: (error) => this.#failed(error),
  });

  constructor(options: ConstructorParameters<typeof MemoryEngineCard>[0]) {
    super(options);
    const { registers } = this;
    registers.onWrite('CONTROL', ({ value, previous }) => {
      if (!(value & ~previous & 1)) return;
      registers.set('STATUS', 0);
      registers.set('COMPLETED_COUNT', 0);
      this.#walker.credits = registers.get('CONTROL.CREDIT_MODE') ? 0 : Infinity;
      this.#walker.start(Number(registers.get('FIRST')), registers.get('FIRST_ADJACENT'));
      this.engine.kick();
    });
    registers.onWrite('CREDITS', ({ data }) => {
      this.#walker.credits += data;
      this.engine.kick();
    });
  }

  protected override onReset(): void {
    this.engine.abort();
    this.#walker.clear();
    this.#completion.reset();
  }

  *#execute(): Generator<Wait, number, void> {
    const { descriptor } = this.#walker;
    if (descriptor.magic !== MAGIC) throw new MagicError();
    yield* transfer(this.#path, descriptor, this.#result);
    return descriptor.lengthBytes;
  }

  *#failed(error: unknown): Generator<Wait, void, void> {
    if (error instanceof MagicError) this.registers.set('STATUS.MAGIC', 1);
    else if (error instanceof DmaError) this.registers.set('STATUS.READ_ERROR', 1);
    else throw error;
    this.registers.set('STATUS.BUSY', 0);
    this.registers.set('CONTROL.RUN', 0);
    this.#completion.alert();
  }

  *#writeBack(): Generator<Wait, void, void> {
    if (!this.registers.get('CONTROL.POLL_MODE')) return;
    yield* this.#writeBackPort.write32(
      Number(this.registers.get('POLL_ADDRESS')),
      this.registers.get('COMPLETED_COUNT'),
    );
  }
}

/** `count` descriptors of 16 bytes each, one behind the other from `at` on; the last stops. */
function chainSetUp(count: number, { at = 0x2_0000, adjacent = true, bytesPerSecond = Infinity } = {}) {
  const clock = new ManualClock();
  const card = new ChainCard({ clock, bytesPerSecond });
  const events = recordInMemory(card);
  const host = new InProcessHost(card, { memoryIova: 0 });
  const driver = host.registers(0, CHAIN);
  host.useInterrupts('msix', 1);
  const memory = host.memory.allocate(1 << 20);
  expect(memory.iova).toBe(0);
  const put = (index: number, more: Parameters<typeof CHAIN_CODEC.encode>[0] = {}) => {
    const isLast = index === count - 1;
    const address = at + index * 32;
    const values = {
      ...{ magic: MAGIC, lengthBytes: 16, hostAddress: index * 16, cardAddress: index * 16, next: address + 32 },
      ...{ stop: isLast, interrupts: isLast, nextAdjacent: adjacent ? Math.max(0, count - index - 2) : 0, ...more },
    };
    memory.bytes.set(CHAIN_CODEC.encode(values), address);
  };
  for (let index = 0; index < count; index++) put(index);
  memory.bytes.subarray(0, count * 16).forEach((_, byte, bytes) => (bytes[byte] = byte % 251));
  driver.write('FIRST', BigInt(at));
  driver.write('FIRST_ADJACENT', adjacent ? count - 1 : 0);
  const run = (control = 1) => {
    driver.write('CONTROL', control);
    clock.runDue();
  };
  const fetches = () =>
    events.flatMap((event) =>
      event.kind === 'dma-read' && event.role === 'descriptor' ? [[event.iova, event.sizeBytes]] : [],
    );
  const moved = () => card.bytes.subarray(0, 16 * count).filter((byte, at) => byte === at % 251).length / 16;
  return { card, clock, driver, fetches, host, memory, moved, put, run };
}

describe('an engine of chains that stop by a bit', () => {
  it('moves what all descriptors say, stops at the stop bit and interrupts once', () => {
    const { card, driver, host, run } = chainSetUp(5);
    run();
    expect(card.bytes.subarray(0, 80)).toEqual(Uint8Array.from({ length: 80 }, (_, byte) => byte));
    expect(driver.read('COMPLETED_COUNT')).toBe(5);
    expect(driver.read('STATUS')).toBe(0b10);
    expect(host.interrupts.count()).toBe(1);
  });

  it('fetches adjacent descriptors in one burst, and never across 4 KiB', () => {
    const { fetches, run } = chainSetUp(10, { at: 0x2_0fa0 });
    run();
    expect(fetches()).toEqual([
      [0x2_0fa0, 96],
      [0x2_1000, 7 * 32],
    ]);
  });

  it('fetches one by one what is not adjacent, and in two requests what lies in two pages', () => {
    const { fetches, run } = chainSetUp(3, { at: 0x2_0fd0, adjacent: false });
    run();
    expect(fetches()).toEqual([
      [0x2_0fd0, 32],
      [0x2_0ff0, 16],
      [0x2_1000, 16],
      [0x2_1010, 32],
    ]);
  });

  it('writes the number of completed descriptors to memory that a driver polls', () => {
    const { driver, memory, run } = chainSetUp(3);
    driver.write('POLL_ADDRESS', 0x8_0000n);
    run(1 | (1 << 26));
    expect(memory.view.getUint32(0x8_0000, true)).toBe(3);
  });

  it('takes as many descriptors as it has credits, and goes on with more', () => {
    const { driver, clock, fetches, run } = chainSetUp(5);
    run(1 | (1 << 27));
    const credit = (count: number) => (driver.write('CREDITS', count), clock.runDue(), driver.read('COMPLETED_COUNT'));
    expect([driver.read('COMPLETED_COUNT'), credit(2), credit(1), credit(9)]).toEqual([0, 2, 3, 5]);
    expect(fetches()[0]).toEqual([0x2_0000, 64]);
  });

  it('halts on a descriptor without the magic, and on host memory that it may not read', () => {
    const { driver, host, put, run, moved } = chainSetUp(4);
    put(2, { magic: 0xbad });
    run();
    expect([driver.read('STATUS'), driver.read('COMPLETED_COUNT'), driver.read('CONTROL')]).toEqual([1 << 4, 2, 0]);
    expect(host.interrupts.count()).toBe(1);
    put(2, { hostAddress: 0x4000_0000 });
    run();
    expect(driver.read('STATUS')).toBe(1 << 9);
    put(2);
    run();
    expect([driver.read('STATUS'), moved()]).toEqual([0b10, 4]);
  });

  it('stops after the descriptor in hand when its run bit is cleared, and drops all in a reset', () => {
    const { clock, driver, host, moved, run } = chainSetUp(4, { bytesPerSecond: 16e6 }); // one in a microsecond
    run();
    clock.advance(1500);
    driver.write('CONTROL', 0);
    clock.advance(10_000);
    expect([driver.read('COMPLETED_COUNT'), moved(), driver.read('STATUS')]).toEqual([2, 2, 0b10]);
    driver.write('CONTROL', 1);
    clock.advance(2500);
    expect([driver.read('COMPLETED_COUNT'), driver.read('STATUS')]).toEqual([2, 0b1]);
    host.reset('device');
    clock.advance(10_000);
    expect([driver.read('STATUS'), driver.read('COMPLETED_COUNT'), moved()]).toEqual([0, 0, 3]);
  });
});

// Up to a tail pointer.

const TAIL = registerMap({
  CONTROL: { offset: 0x00, access: 'rw', fields: { RUN: [0], COMPLETION_IRQ: [12], THRESHOLD: [23, 16] } },
  STATUS: {
    offset: 0x04,
    access: 'ro',
    fields: { HALTED: [0], IDLE: [1], SLAVE_ERROR: [5], SG_ERROR: [8], IRQ: { bits: [12], access: 'w1c' } },
  },
  CURRENT: { offset: 0x08, width: 64, access: 'rw' },
  TAIL: { offset: 0x10, width: 64, access: 'rw' },
});
const TAIL_DESCRIPTOR = registerBlock({
  NEXT: { offset: 0x00, width: 64, access: 'rw' },
  BUFFER: { offset: 0x08, width: 64, access: 'rw' },
  CONTROL: { offset: 0x18, access: 'rw', fields: { EOF: [26], LENGTH: [25, 0] } },
  STATUS: { offset: 0x1c, access: 'ro', fields: { COMPLETED: [31], SLAVE_ERROR: [29], TRANSFERRED: [25, 0] } },
});
const TAIL_CODEC = structureCodec(
  TAIL_DESCRIPTOR,
  {
    next: 'NEXT',
    buffer: 'BUFFER',
    lengthBytes: 'CONTROL.LENGTH',
    endOfFrame: 'CONTROL.EOF',
    completed: 'STATUS.COMPLETED',
  },
  64,
);
const COMPLETED = 2 ** 31;

class StaleDescriptorError extends Error {}

class TailCard extends MemoryEngineCard {
  readonly registers = this.registerBar(0, TAIL);
  readonly #port = this.dmaChannel('MM2S', {
    doorbells: [{ register: 'TAIL', rings: 'changed' }],
    layouts: { descriptor: { fields: TAIL_DESCRIPTOR, strideBytes: 64 } },
  });
  readonly #descriptors = this.#port('descriptor');
  readonly #walker = new ChainWalker(this.#descriptors, TAIL_CODEC, { next: ({ next }) => next });
  readonly #path = { port: this.#port('data'), link: this.link, endpoint: { h2c: () => this.memory } };
  readonly #result = { movedBytes: 0, endedPacket: false };
  readonly #completion = new CompletionReporter({
    clock: this.clock,
    moderation: () => ({ count: this.registers.get('CONTROL.THRESHOLD'), timeoutUs: 0 }),
    interrupt: () => {
      this.registers.set('STATUS.IRQ', 1);
      if (this.registers.get('CONTROL.COMPLETION_IRQ')) this.interrupts.signal(0);
    },
  });
  readonly engine = new DescriptorEngine({
    clock: this.clock,
    walker: this.#walker,
    mayRun: () => this.registers.get('CONTROL.RUN') === 1,
    started: () => this.registers.set('STATUS.IDLE', 0),
    execute: () => this.#execute(),
    completed: () => {
      this.registers.set('CURRENT', BigInt(this.#walker.address));
      this.#completion.descriptorDone(true);
    },
    stopped: (why) => this.registers.set(why === 'not-running' ? 'STATUS.HALTED' : 'STATUS.IDLE', 1),
    failed: (error) => this.#failed(error),
  });
  #moved = 0;

  constructor(environment: CardEnvironment) {
    super(environment);
    this.registers.onWrite('CONTROL', ({ value, previous }) => {
      if (value & ~previous & 1) this.#walker.start(Number(this.registers.get('CURRENT')));
    });
    this.registers.onWrite('TAIL', ({ value }) => {
      this.#walker.tail = Number(value);
      this.engine.kick();
    });
  }

  *#execute(): Generator<Wait, number, void> {
    const { descriptor, address } = this.#walker;
    const { lengthBytes, buffer: hostAddress, endOfFrame: endOfPacket } = descriptor;
    if (descriptor.completed) throw new StaleDescriptorError();
    yield* transfer(this.#path, { hostAddress, cardAddress: this.#moved, lengthBytes, endOfPacket }, this.#result);
    this.#moved += lengthBytes;
    yield* this.#descriptors.write32(address + offsetOf(TAIL_DESCRIPTOR, 'STATUS'), COMPLETED + lengthBytes);
    return lengthBytes;
  }

  *#failed(error: unknown): Generator<Wait, void, void> {
    if (!(error instanceof StaleDescriptorError) && !(error instanceof DmaError)) throw error;
    const isStale = error instanceof StaleDescriptorError;
    this.registers.set(isStale ? 'STATUS.SG_ERROR' : 'STATUS.SLAVE_ERROR', 1);
    this.registers.set('STATUS.HALTED', 1);
    this.registers.set('CONTROL.RUN', 0);
    if (!isStale) yield* this.#descriptors.write32(this.#walker.address + offsetOf(TAIL_DESCRIPTOR, 'STATUS'), 1 << 29);
    this.#completion.alert();
  }
}

describe('an engine that goes up to a tail pointer', () => {
  /** A ring of four linked descriptors, each of 8 bytes. */
  function setUp() {
    const clock = new ManualClock();
    const card = new TailCard({ clock });
    const host = new InProcessHost(card, { memoryIova: 0 });
    const driver = host.registers(0, TAIL);
    host.useInterrupts('msix', 1);
    const memory = host.memory.allocate(1 << 16);
    const addressOf = (index: number) => 0x1000 + (index % 4) * 64;
    for (let index = 0; index < 4; index++) {
      const values = { next: addressOf(index + 1), buffer: 0x100 * (index + 1), lengthBytes: 8, endOfFrame: 1 };
      memory.bytes.set(TAIL_CODEC.encode(values), addressOf(index));
      memory.bytes.fill(index + 1, 0x100 * (index + 1), 0x100 * (index + 1) + 8);
    }
    const tail = (index: number) => {
      driver.write('TAIL', BigInt(addressOf(index)));
      clock.runDue();
    };
    driver.write('CURRENT', BigInt(addressOf(0)));
    driver.write('CONTROL', 1 | (1 << 12) | (2 << 16));
    clock.runDue();
    const statuses = () => [0, 1, 2, 3].map((index) => memory.view.getUint32(addressOf(index) + 0x1c, true));
    return { addressOf, card, driver, host, memory, statuses, tail };
  }

  it('takes nothing before its tail is written, then each up to it, with a status in each', () => {
    const { addressOf, card, driver, statuses, tail } = setUp();
    expect(statuses()).toEqual([0, 0, 0, 0]);
    tail(0);
    expect(statuses()).toEqual([COMPLETED + 8, 0, 0, 0]);
    tail(2);
    expect(statuses()).toEqual([COMPLETED + 8, COMPLETED + 8, COMPLETED + 8, 0]);
    expect(Array.from(card.bytes.subarray(0, 25), String).join('')).toBe('1111111122222222333333330');
    expect(driver.read('STATUS') & 0b11).toBe(0b10);
    expect(driver.read('CURRENT')).toBe(BigInt(addressOf(3)));
  });

  it('interrupts after as many descriptors as its threshold says', () => {
    const { driver, host, tail } = setUp();
    tail(0);
    expect(host.interrupts.count()).toBe(0);
    tail(3);
    expect(host.interrupts.count()).toBe(2);
    expect(driver.read('STATUS') >>> 12).toBe(1);
  });

  it('goes around the ring, and halts on a descriptor that the driver has not made ready again', () => {
    const { addressOf, driver, memory, statuses, tail } = setUp();
    tail(3);
    memory.view.setUint32(addressOf(0) + 0x1c, 0, true);
    tail(1);
    expect(statuses()[0]).toBe(COMPLETED + 8);
    expect(driver.read('STATUS') & ~(1 << 12)).toBe(1 | (1 << 8));
    expect(driver.read('CONTROL') & 1).toBe(0);
  });

  it('writes into the descriptor that its buffer could not be read', () => {
    const { addressOf, driver, memory, statuses, tail } = setUp();
    memory.view.setBigUint64(addressOf(1) + 8, 0x4000_0000n, true);
    tail(3);
    expect(statuses()).toEqual([COMPLETED + 8, 1 << 29, 0, 0]);
    expect(driver.read('STATUS') & ~(1 << 12)).toBe(1 | (1 << 5));
  });
});
