/**
 * Drivers that do it wrong, in part or out of order: the card says so in its registers or does what the data sheet says,
 * and nothing a driver writes makes the model throw.
 */
import { afterEach, describe, expect, it } from 'vitest';
import { ChannelDriver } from '../../../test/support/reference-driver';
import { ManualClock } from '../../clock';
import { COMMAND, InProcessHost } from '../../host';
import { IRQ_SOURCES, PROCESSING, REFERENCE_REGISTERS, ReferenceCard, type ReferenceCardOptions } from '.';

const cards: ReferenceCard[] = [];
afterEach(() => {
  for (const card of cards.splice(0)) card.close();
});

function setUp(options: ReferenceCardOptions = {}, memoryIova = 1 << 20) {
  const clock = new ManualClock();
  const card = new ReferenceCard({ ...options, clock });
  cards.push(card);
  const host = new InProcessHost(card, { memoryIova });
  const registers = host.registers(0, REFERENCE_REGISTERS);
  const buffer = host.memory.allocate(16);
  const job = { hostAddress: buffer.iova, lengthBytes: 16 };
  return { card, host, clock, registers, job, buffer };
}

describe('a ring', () => {
  it.each([
    [4n, 6],
    [31n, 6],
    [1n << 52n, 3],
  ])('whose base is wrong by 0x%x halts the engine with code %i', (wrong, errorCode) => {
    const { host, clock, registers, job } = setUp();
    const h2c = new ChannelDriver(host, 'H2C');
    registers.write('H2C[0].RING_BASE', BigInt(h2c.ring.iova) + wrong);
    h2c.submit(job);
    clock.runDue();
    expect(h2c.state).toMatchObject({ halted: true, errorCode, errorAddress: BigInt(h2c.ring.iova) + wrong });
    registers.write('H2C[0].RING_BASE', BigInt(h2c.ring.iova));
    h2c.clearError();
    clock.runDue();
    expect(h2c.state).toMatchObject({ halted: false, completed: 1 });
  });

  it('may have its base written in two halves, in any order', () => {
    const { host, clock, job } = setUp({}, 5 * 2 ** 32);
    const h2c = new ChannelDriver(host, 'H2C');
    const { iova } = h2c.ring;
    host.bar(0).write64(0x1008, 0xffff_ffff_ffff_ffffn);
    host.bar(0).write32(0x100c, Math.floor(iova / 2 ** 32));
    host.bar(0).write32(0x1008, iova % 2 ** 32);
    h2c.submit(job);
    clock.runDue();
    expect(h2c.state).toMatchObject({ completed: 1, error: false });
  });

  it('that was set up wrong is taken once it has been mended and the error cleared, also without another doorbell', () => {
    const { host, clock, job } = setUp();
    const h2c = new ChannelDriver(host, 'H2C');
    h2c.write('RING_SIZE', 0);
    h2c.submit(job, job);
    clock.runDue();
    expect(h2c.state).toMatchObject({ halted: true, errorCode: 6, completed: 0 });
    h2c.write('RING_SIZE', 16);
    h2c.clearError();
    clock.runDue();
    expect(h2c.state).toMatchObject({ halted: false, completed: 2 });
  });

  it('above 4 GiB is no place for a card with 32 address bits, and a write-back block there is not written', () => {
    const { host, clock, job, registers } = setUp({ addressBits: 32 }, 2 ** 32 - 4096);
    host.memory.allocate(4096);
    const h2c = new ChannelDriver(host, 'H2C');
    h2c.submit(job);
    clock.runDue();
    expect(h2c.state).toMatchObject({ halted: true, errorCode: 3, errorAddress: BigInt(h2c.ring.iova) });
    expect(h2c.writeback.bytes.every((byte) => byte === 0)).toBe(true);

    registers.write('H2C[0].RING_BASE', BigInt(host.memory.iova + 1024));
    host.memory.bytes.set(h2c.ring.bytes, 1024);
    h2c.clearError();
    clock.runDue();
    expect(h2c.state).toMatchObject({ halted: false, completed: 1 });
  });
});

it('host memory above 4 GiB is reached on a card with 64 address bits', () => {
  const { card, host, clock } = setUp({}, 2 ** 40 - 65_536);
  const h2c = new ChannelDriver(host, 'H2C');
  const source = host.memory.allocate(131_072);
  source.bytes.fill(0x5a);
  h2c.submit({ hostAddress: source.iova, lengthBytes: 131_072 });
  clock.runDue();
  expect(h2c.state).toMatchObject({ completed: 1 });
  expect(card.memory[131_071]).toBe(0x5a);
});

describe('the doorbell', () => {
  it('is remembered while RUN is 0, and the ring is taken when it is set', () => {
    const { host, clock, job } = setUp();
    const h2c = new ChannelDriver(host, 'H2C');
    h2c.write('CONTROL', 0);
    h2c.submit(job, job);
    clock.runDue();
    expect(h2c.state).toMatchObject({ busy: false, completed: 0 });
    h2c.write('CONTROL', 1);
    clock.runDue();
    expect(h2c.state.completed).toBe(2);
  });

  it('is remembered while the engine is halted', () => {
    const { host, clock, job } = setUp();
    const h2c = new ChannelDriver(host, 'H2C');
    h2c.submit({ ...job, owner: false });
    clock.runDue();
    h2c.submit(job);
    clock.runDue();
    expect(h2c.state).toMatchObject({ halted: true, completed: 0 });
    h2c.ring.view.setUint32(0, 1, true);
    h2c.clearError();
    clock.runDue();
    expect(h2c.state).toMatchObject({ halted: false, completed: 2 });
  });

  it('rung in the interrupt handler is taken by the engine that is still at work', () => {
    const { host, clock, registers, job } = setUp();
    host.useInterrupts('msix', 8);
    registers.write('IRQ_ENABLE', 0x1f);
    const h2c = new ChannelDriver(host, 'H2C', 0, 4);
    let left = 9;
    host.interrupts.onInterrupt = () => {
      if (left-- > 0) h2c.submit({ ...job, interrupt: true });
    };
    h2c.submit({ ...job, interrupt: true });
    clock.runDue();
    expect(h2c.state).toMatchObject({ completed: 10, consumer: 2, busy: false });
  });

  it('may be written as one byte, one word or with its neighbour', () => {
    const { host, clock, job } = setUp();
    const h2c = new ChannelDriver(host, 'H2C');
    h2c.prepare(job, job, job);
    host.bar(0).write8(0x1014, 1);
    clock.runDue();
    host.bar(0).write16(0x1014, 2);
    clock.runDue();
    host.bar(0).write64(0x1010, (3n << 32n) | 16n);
    clock.runDue();
    expect(h2c.state.completed).toBe(3);
  });
});

describe('a ring of many descriptors', () => {
  it.each([
    [2, 1],
    [64, 63],
    [128, 127],
    [256, 100],
  ])('of %i entries, %i at a time, is fetched in bursts that never cross its end', (size, together) => {
    const { card, host, clock } = setUp();
    const h2c = new ChannelDriver(host, 'H2C', 0, size);
    const source = host.memory.allocate(4 * size);
    let sent = 0;
    for (let round = 0; round < 5; round++) {
      for (let index = 0; index < together; index++, sent++) {
        source.view.setUint32(4 * index, sent, true);
        h2c.prepare({ hostAddress: source.iova + 4 * index, lengthBytes: 4, cardAddress: 4 * sent });
      }
      h2c.doorbell();
      clock.runDue();
    }
    expect(h2c.state).toMatchObject({ completed: sent, consumer: sent % size, error: false });
    const words = new DataView(card.memory.buffer, card.memory.byteOffset);
    expect(Array.from({ length: sent }, (_, index) => words.getUint32(4 * index, true))).toEqual(
      Array.from({ length: sent }, (_, index) => index),
    );
  });
});

describe('the write-back address', () => {
  it.each([1n << 53n, (1n << 53n) + 16n, 1n << 63n, (1n << 64n) - 16n])(
    '0x%x, which is not mapped, costs the driver the block and nothing else',
    (address) => {
      const { host, clock, registers, job } = setUp();
      host.useInterrupts('msix', 8);
      registers.write('IRQ_ENABLE', 0x1f);
      const h2c = new ChannelDriver(host, 'H2C');
      registers.write('H2C[0].WRITEBACK_ADDRESS', address);
      h2c.submit({ ...job, interrupt: true });
      clock.runDue();
      expect(h2c.state).toMatchObject({ completed: 1, error: false });
      expect(host.interrupts.count(IRQ_SOURCES.H2C0)).toBe(1);
    },
  );

  it.each([1, 2, 4, 8, 15])('has its low four bits ignored: %i too high is the same block', (tooHigh) => {
    const { host, clock, registers, job } = setUp();
    const h2c = new ChannelDriver(host, 'H2C');
    registers.write('H2C[0].WRITEBACK_ADDRESS', BigInt(h2c.writeback.iova + tooHigh));
    h2c.submit(job);
    clock.runDue();
    expect(h2c.writeback.view.getUint32(0, true)).toBe(1);
  });
});

describe('PROCESSING switched while a channel waits for its stream', () => {
  it('takes effect at once: what waits for the old stream goes on with the new processing function', () => {
    const { card, host, clock, registers, job, buffer } = setUp();
    card.memory.fill(7, 0, 16);
    registers.write('PAIR[0].PROCESSING', PROCESSING.LOOPBACK);
    const c2h = new ChannelDriver(host, 'C2H');
    c2h.submit(job);
    clock.runDue();
    expect(c2h.state).toMatchObject({ busy: true, completed: 0 });
    registers.write('PAIR[0].PROCESSING', PROCESSING.MEMORY);
    expect(c2h.state).toMatchObject({ busy: false, completed: 1 });
    expect([...buffer.bytes]).toEqual(Array(16).fill(7));
  });

  it('to a number without a processing function behaves as MEMORY', () => {
    const { card, host, clock, registers, job, buffer } = setUp();
    registers.write('PAIR[0].PROCESSING', 15);
    buffer.bytes.fill(9);
    const h2c = new ChannelDriver(host, 'H2C');
    h2c.submit(job);
    clock.runDue();
    expect([...card.memory.subarray(0, 16)]).toEqual(Array(16).fill(9));
  });
});

describe('the interrupt registers', () => {
  it('take byte writes, each acting on its own sources', () => {
    const { host, registers } = setUp();
    host.bar(0).write8(0x108, 0x1f);
    host.bar(0).write8(0x109, 0xff);
    expect(registers.read('IRQ_STATUS')).toBe(0x1f);
    host.bar(0).write8(0x100, 0x11);
    host.bar(0).write8(0x101, 0xff);
    expect(registers.read('IRQ_STATUS')).toBe(0x0e);
    host.bar(0).write8(0x104, 0x02);
    expect(registers.read('IRQ_ENABLE')).toBe(0x02);
  });

  it('let go of the line when the source is disabled or acknowledged, and show it in the status register', () => {
    const { host, registers } = setUp();
    const lineStands = () => (host.config.read16(0x06) & 8) !== 0;
    registers.write('IRQ_ENABLE', 1);
    registers.write('IRQ_TRIGGER', 1);
    expect(lineStands()).toBe(true);
    registers.write('IRQ_ENABLE', 0);
    expect(lineStands()).toBe(false);
    registers.write('IRQ_ENABLE', 1);
    expect(lineStands()).toBe(true);
    registers.write('IRQ_STATUS', 1);
    expect(lineStands()).toBe(false);
  });

  it('keep what was raised while the driver switches from messages to INTx and back', () => {
    const { host, registers } = setUp();
    registers.write('IRQ_ENABLE', 0x1f);
    host.useInterrupts('msix', 8);
    registers.write('IRQ_TRIGGER', 1 << IRQ_SOURCES.USER);
    expect(host.interrupts.count(IRQ_SOURCES.USER)).toBe(1);
    host.useInterrupts('intx');
    expect(host.interrupts.count()).toBe(1);
    registers.write('IRQ_STATUS', 1 << IRQ_SOURCES.USER);
    host.interrupts.unmaskIntx();
    expect(host.interrupts.count()).toBe(1);
    host.useInterrupts('msi', 4);
    registers.write('IRQ_TRIGGER', 1 << IRQ_SOURCES.USER);
    expect(host.interrupts.count(IRQ_SOURCES.USER % 4)).toBe(1);
  });

  it('raise nothing after a reset, whatever was latched, enabled or pending before', () => {
    const { card, host, registers } = setUp();
    host.useInterrupts('msix', 8);
    registers.write('IRQ_ENABLE', 0x1f);
    host.command(COMMAND.MEMORY_SPACE);
    registers.write('IRQ_TRIGGER', 0x1f);
    expect(host.interrupts.count()).toBe(0);
    card.reset();
    host.enumerate();
    expect([registers.read('IRQ_STATUS'), registers.read('IRQ_ENABLE'), registers.read('IRQ_COUNT')]).toEqual([
      0, 0, 0,
    ]);
    host.useInterrupts('msix', 8);
    registers.write('IRQ_ENABLE', 0x1f);
    expect([0, 1, 2, 3, 4].map((vector) => host.interrupts.count(vector))).toEqual([0, 0, 0, 0, 0]);
  });
});
