/** The XDMA card as its drivers see it. */
import { describe, expect, it, onTestFinished } from 'vitest';
import { recordInMemory } from '../../../test/support/traces';
import { XDMA_POLL, XDMA_RUN, XdmaChannelDriver, type XdmaOrder } from '../../../test/support/xdma-driver';
import { describeEvent, RegisterNames } from '../../../instrumentation/trace';
import { ManualClock } from '../../clock';
import { InProcessHost } from '../../host';
import { registerMap } from '../../registers';
import { XdmaCard, type XdmaCardOptions } from './card';
import { XDMA_STREAM_RESULT } from './layout';
import { XDMA_REGISTERS } from './registers';

const STATUS = { STOPPED: 2, COMPLETED: 4, MAGIC: 16, LENGTH: 32, IDLE: 64 };
const DONE = STATUS.STOPPED | STATUS.COMPLETED;

function setUp(options: XdmaCardOptions = {}) {
  const clock = new ManualClock();
  const card = new XdmaCard({ clock, ...options });
  onTestFinished(() => card.close());
  const events = recordInMemory(card);
  const host = new InProcessHost(card);
  const registers = host.registers(0, XDMA_REGISTERS);
  registers.write('IRQ[0].CHANNEL_ENABLE', 0xff);
  const data = host.memory.allocate(64 << 10, 4096);
  data.bytes.forEach((_, byte) => (data.bytes[byte] = (byte * 7) % 251));
  /** Pieces that lie behind each other on both sides. */
  const pieces = (count: number, lengthBytes: number, more: Partial<XdmaOrder> = {}): XdmaOrder[] =>
    Array.from({ length: count }, (_, index) => ({
      hostAddress: data.iova + index * lengthBytes,
      cardAddress: index * lengthBytes,
      lengthBytes,
      ...more,
    }));
  const run = (driver: XdmaChannelDriver, orders: XdmaOrder[], control = XDMA_RUN) => {
    driver.chain(orders);
    driver.stop();
    driver.run(control);
    clock.runDue();
  };
  const fetches = () =>
    events.flatMap((event) =>
      event.kind === 'dma-read' && event.role === 'descriptor' ? [[event.iova % 4096, event.sizeBytes]] : [],
    );
  return { card, clock, data, events, fetches, host, pieces, registers, run };
}

describe('XDMA, memory-mapped', () => {
  it('shows an identifier for every block and channel that it has, and none where it has none', () => {
    const { host } = setUp({ h2cChannels: 2, c2hChannels: 4 });
    const read = (offset: number) => host.bar(0).read32(offset).toString(16);
    expect(['0', '100', '200', '1300'].map((offset) => read(parseInt(offset, 16)))).toEqual([
      '1fc00006',
      '1fc00106',
      '0',
      '1fc10306',
    ]);
    expect([0x2000, 0x3000, 0x4100, 0x4200, 0x5300, 0x6000].map(read)).toEqual([
      '1fc20006',
      '1fc30006',
      '1fc40106',
      '0',
      '1fc50306',
      '1fc60006',
    ]);
    expect([host.config.read32(0), host.config.read32(0x64), host.config.read32(0x68)]).toEqual([
      0x9038_10ee, 0x8000, 0x8fe0,
    ]);
  });

  it('moves chains to the card and back, fetches what is adjacent at once, and interrupts at the end', () => {
    const { card, data, fetches, host, pieces, run } = setUp();
    const [h2c, c2h] = [new XdmaChannelDriver(host, 'H2C'), new XdmaChannelDriver(host, 'C2H')];
    host.useInterrupts('msix', 32);
    run(h2c, pieces(40, 1000));
    expect(Buffer.compare(card.memory.subarray(0, 40_000), data.bytes.subarray(0, 40_000))).toBe(0);
    expect([h2c.status, h2c.completed, host.interrupts.count(0)]).toEqual([DONE, 40, 1]);
    expect(fetches()).toEqual([
      [0, 32 * 32],
      [32 * 32, 8 * 32],
    ]);

    const sent = data.bytes.slice();
    data.bytes.fill(0);
    run(c2h, pieces(40, 1000));
    expect(Buffer.compare(sent.subarray(0, 40_000), data.bytes.subarray(0, 40_000))).toBe(0);
    expect([c2h.status, c2h.completed, host.interrupts.count(0)]).toEqual([DONE, 40, 2]);
  });

  it('needs no address of a descriptor that is adjacent', () => {
    const { clock, host, pieces } = setUp();
    const driver = new XdmaChannelDriver(host, 'H2C');
    driver.chain(pieces(4, 64));
    for (let index = 0; index < 3; index++) driver.descriptors.view.setBigUint64(index * 32 + 0x18, 0n, true);
    driver.run();
    clock.runDue();
    expect([driver.status, driver.completed]).toEqual([DONE, 4]);
  });

  it('refuses a block of adjacent descriptors that crosses 4 KiB', () => {
    const { clock, host, pieces } = setUp();
    const driver = new XdmaChannelDriver(host, 'H2C', { most: 256 });
    driver.chain(pieces(4, 64), { at: 4096 - 64 });
    driver.run();
    clock.runDue();
    expect([driver.status, driver.completed]).toEqual([1 << 19, 0]);
    driver.chain(pieces(4, 64), { at: 4096 - 64, block: 2 });
    driver.stop();
    driver.run();
    clock.runDue();
    expect([driver.status, driver.completed]).toEqual([DONE, 4]);
  });

  it('starts once when RUN is set, again when it was clear, and logs only what CONTROL enables', () => {
    const { clock, host, pieces, run } = setUp();
    const driver = new XdmaChannelDriver(host, 'H2C');
    run(driver, pieces(2, 64), 1);
    expect([driver.status, driver.completed]).toEqual([0, 2]);
    driver.run();
    clock.runDue();
    expect([driver.status, driver.completed]).toEqual([0, 2]);
    run(driver, pieces(3, 64));
    expect([driver.status, driver.completed]).toEqual([DONE, 3]);
    driver.run(XDMA_RUN | STATUS.IDLE);
    driver.stop();
    expect(driver.takeStatus()).toBe(DONE | STATUS.IDLE);
    expect(driver.status).toBe(0);
  });

  it('completes the descriptor in hand when RUN is cleared, and starts again behind it if RUN is set meanwhile', () => {
    const { clock, host, pieces, card } = setUp({ link: { bytesPerSecond: 64e6 } }); // 64 bytes in a microsecond
    const driver = new XdmaChannelDriver(host, 'H2C');
    driver.chain(pieces(4, 64));
    driver.run(XDMA_RUN | STATUS.IDLE);
    clock.advance(1500);
    driver.stop();
    expect(driver.status).toBe(1);
    clock.advance(5000);
    expect([driver.status, driver.completed]).toEqual([STATUS.IDLE, 2]);

    driver.run();
    clock.advance(500);
    driver.stop();
    driver.chain(pieces(1, 64, { cardAddress: 0x1000 }), { at: 2048 });
    driver.run();
    clock.advance(5000);
    expect([driver.status, driver.completed]).toEqual([DONE, 2]);
    expect(card.memory[0x1001]).toBe(7);
  });

  it.each([
    ['magic', { magic: 0xad4a }, STATUS.MAGIC, 'MAGIC_STOPPED'],
    ['host memory', { hostAddress: 0x7000_0000 }, 1 << 9, 'READ_ERROR'],
    ['card memory', { cardAddress: 16 << 20 }, 1 << 14, 'WRITE_ERROR'],
  ])('stops at a descriptor with wrong %s: status, interrupt, polled count, trace', (_, wrong, status, code) => {
    const { events, host, pieces, run, registers } = setUp();
    const driver = new XdmaChannelDriver(host, 'H2C');
    host.useInterrupts('msi', 1);
    const [first, ...others] = pieces(3, 64);
    run(driver, [first!, { ...others[0]!, ...wrong }, others[1]!], XDMA_RUN | XDMA_POLL);
    expect([driver.status, driver.completed, driver.polledCount]).toEqual([status, 1, 2 ** 31 + 1]);
    expect(host.interrupts.count(0)).toBe(1);
    expect(registers.read('IRQ[0].CHANNEL_REQUEST')).toBe(1);
    const states = events.flatMap((event) => (event.kind === 'state' ? [event.state] : []));
    expect(states.at(-1)).toMatch(new RegExp(`^halted: ${code}, descriptor 1: .* 0x`));
    run(driver, pieces(3, 64));
    expect([driver.status, driver.completed]).toEqual([DONE, 3]);
  });

  it('shows failed descriptor fetches, and decode errors of C2H; writes that no memory takes are lost', () => {
    const { host, pieces, run, registers, clock } = setUp();
    const driver = new XdmaChannelDriver(host, 'C2H');
    run(driver, pieces(1, 64, { hostAddress: 0x7000_0000 }));
    expect([driver.status, driver.completed]).toEqual([DONE, 1]);
    run(driver, pieces(1, 64, { cardAddress: 16 << 20 }));
    expect(driver.status).toBe(1 << 9);
    driver.stop();
    registers.write('C2H_SGDMA[0].DESCRIPTOR_HIGH_ADDRESS', 1);
    driver.run();
    clock.runDue();
    expect(driver.status).toBe(1 << 19);
  });

  it('writes the count back for a driver that polls, after each descriptor with COMPLETED', () => {
    const { clock, host, pieces } = setUp({ link: { bytesPerSecond: 64e6 } });
    const driver = new XdmaChannelDriver(host, 'H2C');
    const orders = pieces(4, 64);
    driver.chain([orders[0]!, { ...orders[1]!, completed: true }, ...orders.slice(2)]);
    driver.run(1 | XDMA_POLL);
    const seen = [1, 2, 3, 4].map(() => (clock.advance(1000), driver.polledCount));
    expect(seen).toEqual([0, 2, 2, 4]);
    expect(driver.status).toBe(0);
  });

  it('takes as many descriptors as it has credits, and loses them when RUN is cleared', () => {
    const { clock, fetches, host, pieces, registers } = setUp();
    const driver = new XdmaChannelDriver(host, 'C2H');
    registers.write('SGDMA[0].CREDIT_MODE_W1S', 1 << 16);
    driver.chain(pieces(6, 64));
    driver.credit(2);
    expect(driver.credits).toBe(2);
    driver.run();
    const credit = (count: number) => (driver.credit(count), clock.runDue(), driver.completed);
    clock.runDue();
    expect([driver.completed, credit(1), credit(9), driver.credits]).toEqual([2, 3, 6, 6]);
    expect(fetches()[0]).toEqual([0, 64]);
    driver.stop();
    expect(driver.credits).toBe(0);
    registers.write('SGDMA[0].CREDIT_MODE_W1C', 1 << 16);
    driver.run();
    clock.runDue();
    expect([driver.completed, driver.credits]).toEqual([6, 0]);
  });

  it('halts the fetches of a channel by SGDMA_DESCRIPTOR_CONTROL', () => {
    const { clock, host, pieces, run, registers } = setUp();
    const driver = new XdmaChannelDriver(host, 'H2C');
    registers.write('SGDMA[0].DESCRIPTOR_CONTROL_W1S', 1);
    run(driver, pieces(2, 64));
    expect(driver.completed).toBe(0);
    registers.write('SGDMA[0].DESCRIPTOR_CONTROL_W1C', 1);
    clock.runDue();
    expect([driver.status, driver.completed]).toEqual([DONE, 2]);
  });

  it('drops all in a reset, and identifiers are there again', () => {
    const { clock, host, pieces, registers, card } = setUp({ link: { bytesPerSecond: 64e6 } });
    const driver = new XdmaChannelDriver(host, 'H2C');
    driver.chain(pieces(4, 64));
    driver.run();
    clock.advance(1500);
    host.reset('flr');
    clock.advance(10_000);
    expect([driver.status, driver.completed, card.memory[128]]).toEqual([0, 0, 0]);
    expect(registers.read('H2C[0].IDENTIFIER')).toBe(0x1fc0_0006);
  });
});

describe('XDMA, in traces', () => {
  it('has its descriptors and polled counts decoded', () => {
    const { card, events, host, pieces, run } = setUp();
    run(new XdmaChannelDriver(host, 'H2C'), pieces(1, 64), XDMA_RUN | XDMA_POLL);
    const names = RegisterNames.of(card);
    const lines = events.map((event) => describeEvent({ ...event, sequence: 0, times: 1 } as never, names)).join('\n');
    expect(lines).toContain('(H2C0, descriptor): CONTROL=0xad4b0003 (STOP=1, COMPLETED=1, MAGIC=0xad4b), LENGTH=0x40');
    expect(lines).toContain('(H2C0, write-back): COUNT=1 (COMPLETED=1)');
  });
});

describe('XDMA, interrupts', () => {
  it('sends the vectors that registers choose, C2H channels behind the last H2C, and again when unmasked', () => {
    const { host, pieces, registers, run } = setUp({ h2cChannels: 2, c2hChannels: 2 });
    host.useInterrupts('msix', 32);
    registers.write('IRQ[0].CHANNEL_VECTORS_0', 0x0403_0201);
    const drivers = (['H2C', 'C2H'] as const).flatMap((direction) =>
      [0, 1].map((channel) => new XdmaChannelDriver(host, direction, { channel })),
    );
    for (const driver of drivers) run(driver, pieces(1, 64));
    expect([0, 1, 2, 3, 4].map((vector) => host.interrupts.count(vector))).toEqual([0, 1, 1, 1, 1]);
    expect(registers.read('IRQ[0].CHANNEL_PENDING')).toBe(0xf);
    expect(registers.read('CONFIG[0].MSI_ENABLE')).toBe(2);

    registers.write('H2C[1].INTERRUPT_ENABLE_W1C', DONE);
    expect(registers.read('IRQ[0].CHANNEL_PENDING')).toBe(0xd);
    registers.write('H2C[1].INTERRUPT_ENABLE_W1S', DONE);
    expect(host.interrupts.count(2)).toBe(2);
    registers.write('H2C[1].STATUS', DONE);
    expect(registers.read('IRQ[0].CHANNEL_REQUEST')).toBe(0xd);
  });

  it('has lines of the user design, pending as long as they are driven', () => {
    const { card, host, registers } = setUp();
    host.useInterrupts('msix', 32);
    registers.write('IRQ[0].USER_VECTORS_3', 17 << 24);
    card.setUserInterrupt(15, true);
    expect([registers.read('IRQ[0].USER_PENDING'), registers.read('IRQ[0].USER_REQUEST')]).toEqual([0x8000, 0]);
    registers.write('IRQ[0].USER_ENABLE_W1S', 0x8000);
    expect([registers.read('IRQ[0].USER_REQUEST'), host.interrupts.count(17)]).toEqual([0x8000, 1]);
    card.setUserInterrupt(15, false);
    expect(registers.read('IRQ[0].USER_PENDING')).toBe(0);
  });

  it('drives INTx while a cause stands', () => {
    const { card, host, pieces, registers, run } = setUp();
    host.useInterrupts('intx');
    const driver = new XdmaChannelDriver(host, 'H2C');
    run(driver, pieces(1, 64));
    host.interrupts.unmaskIntx();
    expect(host.interrupts.count()).toBe(2);
    expect(driver.takeStatus()).toBe(DONE);
    registers.write('IRQ[0].USER_ENABLE', 1);
    card.setUserInterrupt(0, true);
    host.interrupts.unmaskIntx();
    card.setUserInterrupt(0, false);
    host.interrupts.unmaskIntx();
    expect(host.interrupts.count()).toBe(3);
  });
});

describe('XDMA, streams', () => {
  it('carries packets from H2C to C2H, over several descriptors, and writes what has been received', () => {
    const { clock, data, host, pieces, run } = setUp({ streaming: true, h2cChannels: 2, c2hChannels: 2 });
    const [h2c, c2h] = (['H2C', 'C2H'] as const).map((kind) => new XdmaChannelDriver(host, kind, { channel: 1 }));
    expect(h2c!.registers.read('H2C[1].IDENTIFIER')).toBe(0x1fc0_8106);
    const results = host.memory.allocate(4 * 64, 64);
    const target = host.memory.allocate(4 * 128, 64);
    const receive = [0, 1, 2].map((index) => ({
      hostAddress: target.iova + index * 128,
      cardAddress: results.iova + index * 64,
      lengthBytes: 128,
    }));
    run(c2h!, receive);
    expect([c2h!.status, c2h!.completed]).toEqual([1, 0]);
    const [first, second] = pieces(2, 100, { endOfPacket: true });
    run(h2c!, [first!, { ...second!, lengthBytes: 200 }]);
    clock.runDue();
    expect([c2h!.status, c2h!.completed]).toEqual([DONE, 3]);
    const { STATUS: status, LENGTH: length } = XDMA_STREAM_RESULT;
    const found = [0, 1, 2].map((index) => [
      results.view.getUint32(index * 64 + status.offset, true).toString(16),
      results.view.getUint32(index * 64 + length.offset, true),
    ]);
    expect(found).toEqual([
      ['52b40001', 100],
      ['52b40000', 128],
      ['52b40001', 72],
    ]);
    const received = Buffer.concat([target.bytes.subarray(0, 100), target.bytes.subarray(128, 328)]);
    expect(Buffer.compare(received, data.bytes.subarray(0, 300))).toBe(0);
  });

  it('writes no result if STREAM_WB_DISABLE is set, and refuses lengths if it is told to', () => {
    const { clock, host, pieces, run } = setUp({ streaming: true });
    const [h2c, c2h] = [new XdmaChannelDriver(host, 'H2C'), new XdmaChannelDriver(host, 'C2H')];
    const results = host.memory.allocate(64, 64);
    const target = host.memory.allocate(128, 64);
    run(c2h, [{ hostAddress: target.iova, cardAddress: results.iova, lengthBytes: 128 }], XDMA_RUN | (1 << 27));
    run(h2c, pieces(1, 100, { endOfPacket: true }));
    clock.runDue();
    expect([c2h.status, results.view.getUint32(0, true)]).toEqual([DONE, 0]);
    run(h2c, pieces(1, 100));
    expect(h2c.status).toBe(STATUS.LENGTH);
  });
});

describe('XDMA, the design of an author', () => {
  it('lies behind user and bypass BARs in the order of the core', () => {
    const map = registerMap({ LEDS: { offset: 0, access: 'rw' }, FIRE: { offset: 4, access: 'rw' } });
    const clock = new ManualClock();
    const card = new XdmaCard({ clock, user: map, bypass: true, memoryBytes: 1 << 16, barBits: 64 });
    card.user.onWrite('FIRE', ({ data }) => card.setUserInterrupt(3, data === 1));
    const host = new InProcessHost(card);
    expect(host.config.read32(0x64)).toBe(0x8000 | 2);
    host.registers(0, map).write('FIRE', 1);
    const registers = host.registers(2, XDMA_REGISTERS);
    expect(registers.read('IRQ[0].USER_PENDING')).toBe(8);
    const driver = new XdmaChannelDriver(host, 'C2H', { bar: 2 });
    const target = host.memory.allocate(64);
    host.bar(4).write32(0x40, 0xcafe);
    driver.chain([{ hostAddress: target.iova, cardAddress: 0x40, lengthBytes: 64 }]);
    driver.run();
    clock.runDue();
    expect(target.view.getUint32(0, true)).toBe(0xcafe);
    expect(() => card.bypass).toThrow('give it a map');
    card.close();
  });

  it('is memory, or sinks and sources', () => {
    const received: number[] = [];
    const window = new Uint8Array(64);
    const sink = {
      reserve: (_: number, most: number) => window.subarray(0, Math.min(64, most)),
      commit: (bytes: number) => void received.push(...window.subarray(0, bytes)),
      whenReady: (callback: () => void) => callback(),
    };
    const clock = new ManualClock();
    const card = new XdmaCard({ clock, user: 4096, sink: () => sink });
    const host = new InProcessHost(card);
    host.bar(0).write32(8, 5);
    expect(card.userMemory[8]).toBe(5);
    const data = host.memory.allocate(64);
    data.bytes.set([1, 2, 3]);
    const driver = new XdmaChannelDriver(host, 'H2C', { bar: 1 });
    driver.chain([{ hostAddress: data.iova, cardAddress: 0, lengthBytes: 3 }]);
    driver.run();
    clock.runDue();
    expect(received).toEqual([1, 2, 3]);
    card.close();
  });
});

describe('XDMA, as real cards lie', () => {
  it('moves what the low bits of a length say, from where the low bits of an address lead', () => {
    const { card, data, host, pieces, run } = setUp({ lengthBits: 8, wrapsAtBits: 28 });
    const driver = new XdmaChannelDriver(host, 'H2C');
    run(driver, pieces(1, 0x110, { hostAddress: data.iova + 2 ** 40 }));
    expect([driver.status, card.memory[15], card.memory[16]]).toEqual([DONE, data.bytes[15], 0]);
    expect(driver.registers.read('H2C[0].ALIGNMENTS')).toBe(0x0001_0140);
  });

  it('stops where addresses are not aligned alike', () => {
    const { host, pieces, run } = setUp({ alignment: 64 });
    const driver = new XdmaChannelDriver(host, 'H2C');
    run(driver, pieces(1, 64, { cardAddress: 4 }));
    expect(driver.status).toBe(8);
  });

  it.each([
    [{ h2cChannels: 5 }, 'h2cChannels is 5: the card takes whole numbers from 1 to 4'],
    [{ msiVectors: 3 }, 'msiVectors is 3: the card takes powers of two from 1 to 32'],
    [{ barBits: 16 }, 'barBits is 16: the card takes 32 or 64'],
    [{ user: true as never }, 'user is true: the card takes bytes of memory, or a register map'],
    [{ user: 100 }, 'user is 100: the card takes powers of two from 4096 to 2147483648'],
  ])('refuses %o', (options, message) => {
    expect(() => new XdmaCard(options)).toThrow(message);
  });

  it('has one MSI vector, or none, if it is told so', () => {
    const { host } = setUp({ msix: false, msiVectors: 1 });
    expect([host.config.read8(0x48), host.config.read8(0x49)]).toEqual([5, 0x70]);
  });
});
