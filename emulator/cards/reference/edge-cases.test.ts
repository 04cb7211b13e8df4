/** States that a driver gets a channel into only by mistake or bad luck: what is reported must be true, and nothing is done twice. */
import { describe, expect, it } from 'vitest';
import { ChannelDriver } from '../../../test/support/reference-driver';
import { ManualClock } from '../../clock';
import { COMMAND, InProcessHost } from '../../host';
import { PROCESSING, REFERENCE_REGISTERS, ReferenceCard, type ReferenceCardOptions } from '.';

function setUp(options: ReferenceCardOptions = {}) {
  const clock = new ManualClock();
  const card = new ReferenceCard({ ...options, clock });
  const host = new InProcessHost(card);
  const buffer = host.memory.allocate(65_536);
  const job = { hostAddress: buffer.iova, lengthBytes: 16 };
  return { card, host, clock, registers: host.registers(0, REFERENCE_REGISTERS), buffer, job };
}

describe('an address that no number holds exactly is reported as it is', () => {
  it.each([(1n << 64n) - 1n, (1n << 60n) + 32n])('HOST_ADDRESS 0x%x', (address) => {
    const { host, clock, job } = setUp();
    const h2c = new ChannelDriver(host, 'H2C');
    h2c.prepare(job);
    h2c.ring.view.setBigUint64(0x08, address, true);
    h2c.doorbell();
    clock.runDue();
    expect(h2c.state).toMatchObject({ halted: true, errorCode: 3, errorAddress: address });
  });
  it.each([(1n << 64n) - 1n, (1n << 60n) + 32n])('CARD_ADDRESS 0x%x', (address) => {
    const { host, clock, job } = setUp();
    const h2c = new ChannelDriver(host, 'H2C');
    h2c.prepare(job);
    h2c.ring.view.setBigUint64(0x10, address, true);
    h2c.doorbell();
    clock.runDue();
    expect(h2c.state).toMatchObject({ halted: true, errorCode: 4, errorAddress: address });
  });
  it.each([(1n << 64n) - 32n, (1n << 60n) + 32n])('RING_BASE 0x%x', (address) => {
    const { host, clock, registers, job } = setUp();
    const h2c = new ChannelDriver(host, 'H2C');
    registers.write('H2C[0].RING_BASE', address);
    h2c.submit(job);
    clock.runDue();
    expect(h2c.state).toMatchObject({ halted: true, errorCode: 3, errorAddress: address });
  });
});

it('a ring that has shrunk below the consumer index is BAD_RING, and nothing outside it is read', () => {
  const { host, clock, job } = setUp();
  const h2c = new ChannelDriver(host, 'H2C');
  h2c.submit(job, job, job, job);
  clock.runDue();
  h2c.write('RING_SIZE', 4);
  h2c.producer = 2;
  h2c.doorbell();
  clock.runDue();
  expect(h2c.state).toMatchObject({ halted: true, errorCode: 6 });
});

it('descriptors left when RUN was cleared are fetched anew when it is set', () => {
  const { host, clock, registers, job } = setUp({ link: { bytesPerSecond: 1e6 } });
  const h2c = new ChannelDriver(host, 'H2C');
  h2c.submit(job, job, job);
  clock.advance(1);
  h2c.write('CONTROL', 0);
  clock.advance(1_000_000);
  const other = host.memory.allocate(512, 32);
  other.bytes.set(h2c.ring.bytes);
  other.view.setUint32(32 + 4, 77, true);
  registers.write('H2C[0].RING_BASE', BigInt(other.iova));
  h2c.write('CONTROL', 1);
  clock.advance(1_000_000);
  expect(h2c.state).toMatchObject({ completed: 3, bytes: 109n });
});

it('descriptors whose answer comes after CONTROL.RESET are forgotten', async () => {
  const { card, host, clock, job } = setUp();
  const { memory } = host;
  const waiting: (() => void)[] = [];
  const at = (iova: bigint) => Number(iova) - memory.iova;
  card.unmapDma(0n, 1n << 53n);
  card.mapDma({
    iova: BigInt(memory.iova),
    sizeBytes: BigInt(memory.sizeBytes),
    readable: true,
    writable: true,
    backing: {
      kind: 'remote',
      memory: {
        read: (iova, into) =>
          new Promise((resolve) =>
            waiting.push(() => (into.set(memory.bytes.subarray(at(iova), at(iova) + into.length)), resolve())),
          ),
        write: (iova, from) =>
          new Promise((resolve) => waiting.push(() => (memory.bytes.set(from, at(iova)), resolve()))),
      },
    },
  });
  const answer = async () => {
    clock.runDue();
    waiting.shift()?.();
    await new Promise((resolve) => setImmediate(resolve));
    clock.runDue();
  };
  const h2c = new ChannelDriver(host, 'H2C');
  h2c.submit({ ...job, lengthBytes: 100 });
  clock.runDue();
  h2c.write('CONTROL', 0b10);
  h2c.setUp();
  await answer();
  h2c.submit({ ...job, lengthBytes: 7 });
  do await answer();
  while (waiting.length > 0);
  expect(h2c.state).toMatchObject({ completed: 1, bytes: 7n });
});

it('an interrupt handler may reset the channel and give it another ring', () => {
  const { host, clock, registers, job } = setUp();
  host.useInterrupts('msix', 8);
  registers.write('IRQ_ENABLE', 0x1f);
  const h2c = new ChannelDriver(host, 'H2C');
  const next = new ChannelDriver(host, 'H2C');
  h2c.setUp();
  host.interrupts.onInterrupt = () => {
    host.interrupts.onInterrupt = () => {};
    h2c.write('CONTROL', 0b10);
    next.setUp();
    next.submit({ ...job, lengthBytes: 8 });
  };
  h2c.submit({ ...job, interrupt: true }, job);
  clock.runDue();
  expect(next.state).toMatchObject({ halted: false, completed: 1, bytes: 8n });
});

it('CRC32C keeps its digests when a driver takes them out by single bytes', () => {
  const { host, clock, registers, buffer } = setUp();
  registers.write('PAIR[0].PROCESSING', PROCESSING.CRC32C);
  buffer.bytes.forEach((_, index) => (buffer.bytes[index] = (index * 31) ^ (index >> 8)));
  const packets = 1100;
  const take = (firstBytes: number): Uint8Array => {
    registers.write('CONTROL', 1);
    registers.write('PAIR[0].PROCESSING', PROCESSING.CRC32C);
    const h2c = new ChannelDriver(host, 'H2C', 0, 2048);
    const c2h = new ChannelDriver(host, 'C2H', 0, 2048);
    const target = host.memory.allocate(4 * packets);
    for (let index = 0; index < packets; index++)
      h2c.prepare({ hostAddress: buffer.iova + index, lengthBytes: 9, endOfPacket: true });
    h2c.doorbell();
    clock.runDue();
    c2h.submit({ hostAddress: target.iova, lengthBytes: firstBytes });
    clock.runDue();
    c2h.submit({ hostAddress: target.iova + firstBytes, lengthBytes: 4 });
    clock.runDue();
    for (let at = 4; at < 4 * packets; at += 4) c2h.prepare({ hostAddress: target.iova + at, lengthBytes: 4 });
    c2h.doorbell();
    clock.runDue();
    return target.bytes;
  };
  // 4, then the rest: the second descriptor takes packet 1, so both runs agree from there on.
  expect(Buffer.from(take(1)).subarray(0, 4)).toEqual(Buffer.from(take(4)).subarray(0, 4));
});

it('CRC32C begins a packet anew after the H2C channel has been reset in its midst', () => {
  const { host, clock, registers, buffer } = setUp();
  registers.write('PAIR[0].PROCESSING', PROCESSING.CRC32C);
  const h2c = new ChannelDriver(host, 'H2C');
  const c2h = new ChannelDriver(host, 'C2H');
  buffer.bytes.set(Buffer.from('xxxx123456789'));
  h2c.submit({ hostAddress: buffer.iova, lengthBytes: 4 });
  clock.runDue();
  for (const channel of [h2c, c2h]) {
    channel.write('CONTROL', 0b10);
    channel.setUp();
  }
  registers.write('PAIR[0].PROCESSING', PROCESSING.CRC32C);
  c2h.submit({ hostAddress: buffer.iova + 64, lengthBytes: 4 });
  h2c.submit({ hostAddress: buffer.iova + 4, lengthBytes: 9, endOfPacket: true });
  clock.runDue();
  expect(buffer.view.getUint32(64, true)).toBe(0xe306_9283);
});

it('an error between transfer and completion does not send stream data twice', () => {
  const { host, clock, registers, job } = setUp({ link: { bytesPerSecond: 1e6 } });
  registers.write('PAIR[0].PROCESSING', PROCESSING.LOOPBACK);
  const h2c = new ChannelDriver(host, 'H2C');
  const c2h = new ChannelDriver(host, 'C2H');
  h2c.submit({ ...job, endOfPacket: true });
  clock.runDue();
  host.command(COMMAND.MEMORY_SPACE);
  clock.advance(1_000_000);
  host.command(COMMAND.MEMORY_SPACE | COMMAND.BUS_MASTER);
  h2c.clearError();
  clock.advance(1_000_000);
  c2h.submit(job, job);
  clock.advance(1_000_000);
  expect([h2c.state.completed, c2h.state.completed]).toEqual([1, 1]);
});

it('a reset frees the link of the transfer that it dropped', () => {
  const { card, host, clock, job } = setUp({ link: { bytesPerSecond: 1e6 } });
  const h2c = new ChannelDriver(host, 'H2C');
  h2c.submit({ ...job, lengthBytes: 60_000 });
  clock.runDue();
  card.reset();
  host.enumerate();
  h2c.setUp();
  h2c.submit({ ...job, lengthBytes: 1 });
  clock.advance(1_001);
  expect(h2c.state.completed).toBe(1);
});
