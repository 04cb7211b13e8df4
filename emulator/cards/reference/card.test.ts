import { afterEach, describe, expect, it } from 'vitest';
import { traceOf } from '../../../instrumentation/trace';
import { ChannelDriver } from '../../../test/support/reference-driver';
import { ManualClock } from '../../clock';
import { COMMAND, InProcessHost } from '../../host';
import {
  IRQ_SOURCES,
  PROCESSING,
  MAX_LENGTH_BYTES,
  REFERENCE_REGISTERS,
  ReferenceCard,
  type ReferenceCardOptions,
} from '.';

const cards: ReferenceCard[] = [];
afterEach(() => {
  for (const card of cards.splice(0)) card.close();
});

function setUp(options: ReferenceCardOptions = {}, memoryBytes = 4 << 20) {
  const clock = new ManualClock();
  const card = new ReferenceCard({ ...options, clock });
  cards.push(card);
  const host = new InProcessHost(card, { memoryBytes });
  const registers = host.registers(0, REFERENCE_REGISTERS);
  return { card, host, clock, registers };
}

const pattern = (sizeBytes: number, seed = 1): Uint8Array =>
  new Uint8Array(sizeBytes).map((_, index) => (index * 31 + seed * 17 + (index >> 8)) & 0xff);

const EOP = { endOfPacket: true };
const IRQ = { interrupt: true };

describe('a reference card that lies', () => {
  it('drops the address bits that it does not have, and reads what lies below', () => {
    const { card, host, clock } = setUp({ wrapsAtBits: 32 });
    const source = host.memory.allocate(64, 64);
    source.bytes.set(pattern(64));
    const h2c = new ChannelDriver(host, 'H2C');
    h2c.submit({ hostAddress: 0x7_0000_0000 + source.iova, lengthBytes: 64 });
    clock.runDue();
    expect(h2c.state).toMatchObject({ error: false, completed: 1 });
    expect(card.memory.subarray(0, 64)).toEqual(pattern(64));
    expect(card.registers.get('CAPABILITIES.ADDRESS_BITS')).toBe(64);
  });

  it('moves what the low bits of the length say, and reports no error', () => {
    const { card, host, clock } = setUp({ lengthBits: 14 });
    const source = host.memory.allocate(20_000);
    source.bytes.fill(7);
    const h2c = new ChannelDriver(host, 'H2C');
    h2c.submit({ hostAddress: source.iova, lengthBytes: 20_000 });
    clock.runDue();
    expect(h2c.state).toMatchObject({ error: false, completed: 1, bytes: 3616n });
    expect(h2c.ring32(0, 0x18)).toBe(3616);
    expect(card.memory.indexOf(0)).toBe(3616);
  });

  it('is refused with numbers that make no sense', () => {
    expect(() => new ReferenceCard({ wrapsAtBits: 8 })).toThrow(
      'wrapsAtBits is 8: the card takes whole numbers from 12 to 64',
    );
    expect(() => new ReferenceCard({ lengthBits: 0 })).toThrow(
      'lengthBits is 0: the card takes whole numbers from 1 to 32',
    );
  });
});

describe('reference card registers', () => {
  it('identify the card, its version and what it has', () => {
    const { registers } = setUp();
    expect(registers.read('ID')).toBe(0x4748_4331);
    expect(registers.read('VERSION')).toBe(0x0001_0001);
    expect(registers.read('CAPABILITIES')).toBe((64 << 16) | (8 << 8) | 2);
    expect(registers.read('MEMORY_SIZE')).toBe(16n << 20n);
  });

  it('say 32 address bits on a card that is built so, also after a reset', () => {
    const { registers, card } = setUp({ addressBits: 32 });
    expect((registers.read('CAPABILITIES') >>> 16) & 0xff).toBe(32);
    card.reset();
    expect(card.registers.get('CAPABILITIES.ADDRESS_BITS')).toBe(32);
  });

  it('tell device time', () => {
    const { registers, clock } = setUp();
    clock.advance(1234);
    expect(registers.read('UPTIME_NS')).toBe(1234n);
  });

  it('are put back by a soft reset, which reads 0 afterwards', () => {
    const { registers } = setUp();
    registers.write('SCRATCH', 5);
    registers.write('IRQ_ENABLE', 0x1f);
    registers.write('CONTROL', 1);
    expect(registers.read('CONTROL')).toBe(0);
    expect(registers.read('SCRATCH')).toBe(0);
    expect(registers.read('IRQ_ENABLE')).toBe(0);
  });
});

describe('reference card on the bus', () => {
  it('shows 16 KiB of registers, 16 MiB of prefetchable 64-bit memory, and a BAR with the MSI-X table and the one of platform devices', () => {
    const { card, host } = setUp();
    expect(card.layout.regions.slice(0, 6).map(({ sizeBytes }) => sizeBytes)).toEqual([
      16 << 10,
      0,
      16 << 20,
      0,
      16 << 10,
      0,
    ]);
    expect([0, 2, 4].map((slot) => host.config.read32(0x10 + 4 * slot) & 0xf)).toEqual([0, 0b1100, 0]);
    expect(card.layout.irqs.map(({ count }) => count)).toEqual([1, 8, 8, 1, 1]);
  });

  it.each([false, true])('offers its memory to a client that can map it when mapMemory is %s', (mapMemory) => {
    const allocate = (sizeBytes: number) => ({ bytes: new Uint8Array(sizeBytes), fd: 42, close: () => {} });
    const { card } = setUp({ mapMemory, allocate });
    expect(card.layout.regions[2]!.mappable?.fd).toBe(mapMemory ? 42 : undefined);
    expect(card.layout.regions[0]!.mappable).toBeUndefined();
  });

  it('holds what is written to its scratch registers, and says how long a descriptor may be', () => {
    const { registers, host } = setUp();
    registers.write('SCRATCH64', 0x0123_4567_89ab_cdefn);
    expect(host.bar(0).read32(0x24)).toBe(0x0123_4567);
    expect(registers.read('SCRATCH64')).toBe(0x0123_4567_89ab_cdefn);
    expect(registers.read('MAX_LENGTH')).toBe(MAX_LENGTH_BYTES);
  });
});

describe('processing function MEMORY', () => {
  it('moves bytes from the host into card memory and back, at any alignment', () => {
    const { card, host, clock } = setUp();
    const h2c = new ChannelDriver(host, 'H2C');
    const c2h = new ChannelDriver(host, 'C2H');
    for (const [sizeBytes, misalignment] of [
      [1, 0],
      [3, 1],
      [4096, 3],
      [65_537, 63],
    ] as const) {
      const source = host.memory.allocate(sizeBytes + 64);
      const target = host.memory.allocate(sizeBytes + 64);
      const data = pattern(sizeBytes, sizeBytes);
      source.bytes.set(data, misalignment);
      h2c.submit({ hostAddress: source.iova + misalignment, lengthBytes: sizeBytes, cardAddress: 0x1001 });
      clock.runDue();
      expect(card.memory.subarray(0x1001, 0x1001 + sizeBytes)).toEqual(data);
      c2h.submit({ hostAddress: target.iova + 64 - misalignment, lengthBytes: sizeBytes, cardAddress: 0x1001 });
      clock.runDue();
      expect(target.bytes.subarray(64 - misalignment, 64 - misalignment + sizeBytes)).toEqual(data);
    }
    expect(h2c.state).toMatchObject({ completed: 4, consumer: 4, busy: false, error: false });
  });

  it('shows in BAR2 what DMA has written', () => {
    const { host, clock } = setUp();
    const h2c = new ChannelDriver(host, 'H2C');
    const source = host.memory.allocate(8);
    source.view.setBigUint64(0, 0x1122_3344_5566_7788n, true);
    h2c.submit({ hostAddress: source.iova, lengthBytes: 8, cardAddress: 0x100 });
    clock.runDue();
    expect(host.bar(2).read64(0x100)).toBe(0x1122_3344_5566_7788n);
  });
});

describe('processing function LOOPBACK', () => {
  it('brings H2C data out of C2H with its packet boundaries, however descriptors cut it', () => {
    const { host, clock, registers } = setUp();
    registers.write('PAIR[1].PROCESSING', PROCESSING.LOOPBACK);
    const h2c = new ChannelDriver(host, 'H2C', 1);
    const c2h = new ChannelDriver(host, 'C2H', 1);
    const source = host.memory.allocate(1000);
    const target = host.memory.allocate(4000);
    source.bytes.set(pattern(1000));
    for (let index = 0; index < 4; index++) c2h.prepare({ hostAddress: target.iova + index * 1000, lengthBytes: 512 });
    c2h.doorbell();
    h2c.submit(
      { hostAddress: source.iova, lengthBytes: 300 },
      { hostAddress: source.iova + 300, lengthBytes: 400, ...EOP },
      { hostAddress: source.iova + 700, lengthBytes: 300, ...EOP },
    );
    clock.runDue();
    // 700 bytes = 512 + 188 with EOP, then 300 with EOP; the fourth descriptor waits.
    expect([0, 1, 2].map((index) => [c2h.ring32(index, 0x18), c2h.ring32(index, 0x1c)])).toEqual([
      [512, 1],
      [188, 3],
      [300, 3],
    ]);
    expect(target.bytes.subarray(0, 512)).toEqual(source.bytes.subarray(0, 512));
    expect(target.bytes.subarray(1000, 1188)).toEqual(source.bytes.subarray(512, 700));
    expect(target.bytes.subarray(2000, 2300)).toEqual(source.bytes.subarray(700));
    expect(c2h.state).toMatchObject({ completed: 3, busy: true });
  });

  it('holds H2C back while nobody takes the data, and loses none of it', () => {
    const { host, clock, registers } = setUp({}, 8 << 20);
    registers.write('PAIR[0].PROCESSING', PROCESSING.LOOPBACK);
    const h2c = new ChannelDriver(host, 'H2C');
    const c2h = new ChannelDriver(host, 'C2H');
    const sizeBytes = 3 << 20;
    const source = host.memory.allocate(sizeBytes);
    const target = host.memory.allocate(sizeBytes);
    source.bytes.set(pattern(sizeBytes));
    h2c.submit({ hostAddress: source.iova, lengthBytes: sizeBytes, ...EOP });
    clock.advance(1000);
    expect(h2c.state).toMatchObject({ completed: 0, busy: true });
    c2h.submit({ hostAddress: target.iova, lengthBytes: sizeBytes });
    clock.advance(1000);
    expect(h2c.state.completed).toBe(1);
    expect(c2h.state.completed).toBe(1);
    expect(Buffer.compare(source.bytes, target.bytes)).toBe(0);
  });
});

describe('processing function CRC32C', () => {
  it('answers each packet with its checksum', () => {
    const { host, clock, registers } = setUp();
    registers.write('PAIR[0].PROCESSING', PROCESSING.CRC32C);
    const h2c = new ChannelDriver(host, 'H2C');
    const c2h = new ChannelDriver(host, 'C2H');
    const source = host.memory.allocate(64);
    const target = host.memory.allocate(64);
    source.bytes.set(Buffer.from('123456789'));
    c2h.submit({ hostAddress: target.iova, lengthBytes: 32 }, { hostAddress: target.iova + 32, lengthBytes: 32 });
    h2c.submit(
      { hostAddress: source.iova, lengthBytes: 4 },
      { hostAddress: source.iova + 4, lengthBytes: 5, ...EOP },
      { hostAddress: source.iova + 32, lengthBytes: 32, ...EOP },
    );
    clock.runDue();
    expect(target.view.getUint32(0, true)).toBe(0xe306_9283);
    expect(target.view.getUint32(32, true)).toBe(0x8a91_36aa);
    expect(c2h.ring32(0, 0x18)).toBe(4);
  });
});

describe('completion', () => {
  it('is data, then descriptor, then write-back, then interrupt', () => {
    const { host, clock, registers } = setUp();
    host.useInterrupts('intx');
    registers.write('IRQ_ENABLE', 1 << IRQ_SOURCES.C2H0);
    const c2h = new ChannelDriver(host, 'C2H');
    host.bar(2).write32(0, 0xdead_beef);
    const target = host.memory.allocate(4);
    let seen: unknown;
    host.interrupts.onInterrupt = () => {
      seen = {
        data: target.view.getUint32(0, true),
        owner: c2h.ring32(0, 0) & 1,
        status: c2h.ring32(0, 0x1c),
        consumer: c2h.writeback.view.getUint32(0, true),
        completed: c2h.writeback.view.getUint32(8, true),
      };
    };
    c2h.submit({ hostAddress: target.iova, lengthBytes: 4, ...IRQ });
    clock.runDue();
    expect(seen).toEqual({ data: 0xdead_beef, owner: 0, status: 1, consumer: 1, completed: 1 });
  });

  it('is written back also when no descriptor asks for an interrupt', () => {
    const { host, clock } = setUp();
    const h2c = new ChannelDriver(host, 'H2C');
    h2c.submit({ hostAddress: host.memory.iova, lengthBytes: 4 }, { hostAddress: host.memory.iova, lengthBytes: 4 });
    clock.runDue();
    expect(h2c.writeback.view.getUint32(0, true)).toBe(2);
  });

  it('goes round the ring', () => {
    const { host, clock } = setUp();
    const h2c = new ChannelDriver(host, 'H2C', 0, 4);
    for (let round = 1; round <= 10; round++) {
      const job = { hostAddress: host.memory.iova, lengthBytes: 16 };
      h2c.submit(job, job, job);
      clock.runDue();
      expect(h2c.state).toMatchObject({ completed: 3 * round, consumer: (3 * round) % 4, bytes: BigInt(48 * round) });
    }
  });

  it('takes the time of the link: bytes by bandwidth, then the latency', () => {
    const { host, clock } = setUp({ link: { bytesPerSecond: 1e9, completionLatencyNs: 500 } });
    const h2c = new ChannelDriver(host, 'H2C');
    h2c.submit({ hostAddress: host.memory.iova, lengthBytes: 2000 });
    clock.advance(2499);
    expect(h2c.state).toMatchObject({ completed: 0, busy: true });
    clock.advance(1);
    expect(h2c.state).toMatchObject({ completed: 1, busy: false });
  });

  it('shares the bandwidth of one direction between the channels', () => {
    const { host, clock } = setUp({ link: { bytesPerSecond: 1e9 } });
    const channels = [new ChannelDriver(host, 'H2C', 0), new ChannelDriver(host, 'H2C', 1)];
    for (const channel of channels) channel.submit({ hostAddress: host.memory.iova, lengthBytes: 1000 });
    clock.advance(1000);
    expect(channels.map(({ state }) => state.completed)).toEqual([1, 0]);
    clock.advance(1000);
    expect(channels.map(({ state }) => state.completed)).toEqual([1, 1]);
  });
});

describe('interrupts', () => {
  it.each(['msi', 'msix'] as const)('by %s are one message for each time an enabled source is raised', (kind) => {
    const { host, registers } = setUp();
    host.useInterrupts(kind, 8);
    registers.write('IRQ_ENABLE', 0x1f);
    registers.write('IRQ_TRIGGER', 1 << IRQ_SOURCES.USER);
    registers.write('IRQ_TRIGGER', 1 << IRQ_SOURCES.USER);
    registers.write('IRQ_TRIGGER', 1 << IRQ_SOURCES.C2H1);
    expect(host.interrupts.count(IRQ_SOURCES.USER)).toBe(2);
    expect(host.interrupts.count(IRQ_SOURCES.C2H1)).toBe(1);
    expect(registers.read('IRQ_COUNT')).toBe(3);
  });

  it('by INTx are a level: they come again after unmasking until the driver has acknowledged', () => {
    const { host, registers } = setUp();
    host.useInterrupts('intx');
    registers.write('IRQ_ENABLE', 0x1f);
    registers.write('IRQ_TRIGGER', 1);
    expect(host.interrupts.count()).toBe(1);
    host.interrupts.unmaskIntx();
    expect(host.interrupts.count()).toBe(2);
    registers.write('IRQ_STATUS', 1);
    host.interrupts.unmaskIntx();
    expect(host.interrupts.count()).toBe(2);
  });

  it('wait in IRQ_STATUS until their source is enabled', () => {
    const { host, registers } = setUp();
    host.useInterrupts('intx');
    registers.write('IRQ_TRIGGER', 0xffff_ffff);
    expect(registers.read('IRQ_STATUS')).toBe(0x1f);
    expect(host.interrupts.count()).toBe(0);
    registers.write('IRQ_ENABLE', 2);
    expect(host.interrupts.count()).toBe(1);
  });

  it('are moderated by count, or by time after the first', () => {
    const { host, clock, registers } = setUp();
    host.useInterrupts('msix', 8);
    registers.write('IRQ_ENABLE', 0x1f);
    const h2c = new ChannelDriver(host, 'H2C');
    h2c.write('MODERATION', (10 << 16) | 3);
    const job = { hostAddress: host.memory.iova, lengthBytes: 4, ...IRQ };
    h2c.submit(job, job, job, job);
    clock.runDue();
    expect(host.interrupts.count(IRQ_SOURCES.H2C0)).toBe(1);
    clock.advance(9_999);
    expect(host.interrupts.count(IRQ_SOURCES.H2C0)).toBe(1);
    clock.advance(1);
    expect(host.interrupts.count(IRQ_SOURCES.H2C0)).toBe(2);
  });
});

describe('errors', () => {
  const good = (host: InProcessHost) => ({ hostAddress: host.memory.iova, lengthBytes: 16 });

  it.each([
    ['NOT_OWNED', 1, { owner: false }],
    ['BAD_LENGTH', 2, { lengthBytes: 0 }],
    ['BAD_LENGTH', 2, { lengthBytes: MAX_LENGTH_BYTES + 1 }],
    ['BAD_HOST_ADDRESS', 3, { hostAddress: 0x7000_0000_0000 }],
    ['BAD_CARD_ADDRESS', 4, { cardAddress: (16 << 20) - 8 }],
  ] as const)('%s halts the engine on the failing descriptor, and it resumes when fixed', (_, errorCode, fault) => {
    const { host, clock } = setUp();
    const h2c = new ChannelDriver(host, 'H2C');
    h2c.submit(good(host), { ...good(host), ...fault }, good(host));
    clock.runDue();
    expect(h2c.state).toMatchObject({ halted: true, error: true, errorCode, errorIndex: 1, consumer: 1, busy: false });
    expect(h2c.writeback.view.getUint32(4, true) & 0xf06).toBe(0x006 | (errorCode << 8));

    h2c.producer = 1;
    h2c.prepare(good(host));
    h2c.producer = 3;
    h2c.clearError();
    clock.runDue();
    expect(h2c.state).toMatchObject({ halted: false, error: false, errorCode: 0, completed: 3, consumer: 3 });
  });

  it('BUS_MASTER_OFF halts the engine before it has read a descriptor', () => {
    const { host, clock } = setUp();
    const h2c = new ChannelDriver(host, 'H2C');
    host.command(COMMAND.MEMORY_SPACE);
    h2c.submit(good(host));
    clock.runDue();
    expect(h2c.state).toMatchObject({ halted: true, errorCode: 5, errorIndex: 0 });
    host.command(COMMAND.MEMORY_SPACE | COMMAND.BUS_MASTER);
    h2c.clearError();
    clock.runDue();
    expect(h2c.state).toMatchObject({ halted: false, completed: 1 });
  });

  it.each([
    ['a size that is no power of two', 12, 1, 'RING_SIZE 12 is not a power of two from 2 to 65536'],
    ['a size above the limit', 1 << 17, 1, 'RING_SIZE 131072 is not a power of two from 2 to 65536'],
    ['a doorbell outside the ring', 16, 16, 'DOORBELL index 16 is outside the ring of 16'],
  ])('BAD_RING reports %s', (_, size, producer, mistake) => {
    const { host, clock, card } = setUp();
    const h2c = new ChannelDriver(host, 'H2C');
    h2c.write('RING_SIZE', size);
    h2c.producer = producer;
    h2c.doorbell();
    clock.runDue();
    expect(h2c.state).toMatchObject({ halted: true, errorCode: 6 });
    expect(traceOf(card).states.get('H2C0')).toBe(`halted: BAD_RING, ${mistake}`);
  });

  it('report the very address that failed', () => {
    const { host, clock } = setUp();
    const c2h = new ChannelDriver(host, 'C2H');
    c2h.submit({ hostAddress: 0x1234_5678_9000, lengthBytes: 16 });
    clock.runDue();
    expect(c2h.state.errorAddress).toBe(0x1234_5678_9000n);
  });

  it('report an address above 4 GiB on a card with 32 address bits, and do not wrap it', () => {
    const { host, clock } = setUp({ addressBits: 32 });
    const h2c = new ChannelDriver(host, 'H2C');
    h2c.submit({ hostAddress: 2 ** 32 + host.memory.iova, lengthBytes: 16 });
    clock.runDue();
    expect(h2c.state).toMatchObject({ halted: true, errorCode: 3, errorAddress: BigInt(2 ** 32 + host.memory.iova) });
  });

  it.each([24, 28, 40])('report an address that takes more than %i bits on a card with that many', (addressBits) => {
    const { host, clock, registers } = setUp({ addressBits });
    expect((registers.read('CAPABILITIES') >>> 16) & 0xff).toBe(addressBits);
    const h2c = new ChannelDriver(host, 'H2C');
    h2c.submit({ hostAddress: 2 ** addressBits - 8, lengthBytes: 16 });
    clock.runDue();
    expect(h2c.state).toMatchObject({ halted: true, errorCode: 3, errorAddress: BigInt(2 ** addressBits - 8) });
  });

  it('raise the interrupt at once, whatever the moderation', () => {
    const { host, clock, registers } = setUp();
    host.useInterrupts('intx');
    registers.write('IRQ_ENABLE', 0x1f);
    const h2c = new ChannelDriver(host, 'H2C');
    h2c.write('MODERATION', 100);
    h2c.submit({ ...good(host), lengthBytes: 0 });
    clock.runDue();
    expect(host.interrupts.count()).toBe(1);
  });
});

describe('reset', () => {
  it('of a channel drops the transfer in hand and starts the ring anew', () => {
    const { host, clock, registers } = setUp();
    registers.write('PAIR[0].PROCESSING', PROCESSING.LOOPBACK);
    const c2h = new ChannelDriver(host, 'C2H');
    c2h.submit({ hostAddress: host.memory.iova, lengthBytes: 16 });
    clock.runDue();
    expect(c2h.state.busy).toBe(true);
    c2h.write('CONTROL', 0b10);
    expect(c2h.state).toMatchObject({ busy: false, consumer: 0, completed: 0 });
    c2h.setUp();
    registers.write('PAIR[0].PROCESSING', PROCESSING.MEMORY);
    c2h.submit({ hostAddress: host.memory.iova, lengthBytes: 16 });
    clock.runDue();
    expect(c2h.state).toMatchObject({ completed: 1, consumer: 1 });
  });

  it('of the device in mid-transfer leaves nothing running, and card memory as it was', () => {
    const { card, host, clock } = setUp({ link: { bytesPerSecond: 1e6 } });
    card.memory[5] = 42;
    const h2c = new ChannelDriver(host, 'H2C');
    h2c.submit({ hostAddress: host.memory.iova, lengthBytes: 1000, cardAddress: 0x1000, ...IRQ });
    clock.runDue();
    card.reset();
    clock.advance(1e9);
    expect(clock.nextDueNs).toBeUndefined();
    host.enumerate();
    expect(h2c.state).toMatchObject({ completed: 0, busy: false });
    expect(card.memory[5]).toBe(42);
  });

  it('clears RUN: the engine stops after the descriptor in hand, and goes on where it was', () => {
    const { host, clock } = setUp({ link: { bytesPerSecond: 1e9 } });
    const h2c = new ChannelDriver(host, 'H2C');
    const job = { hostAddress: host.memory.iova, lengthBytes: 1000 };
    h2c.submit(job, job, job);
    clock.advance(500);
    h2c.write('CONTROL', 0);
    clock.advance(10_000);
    expect(h2c.state).toMatchObject({ completed: 1, busy: false });
    h2c.write('CONTROL', 1);
    clock.advance(10_000);
    expect(h2c.state).toMatchObject({ completed: 3 });
  });
});
