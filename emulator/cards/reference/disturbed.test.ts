/**
 * The card while the ground moves under it: resets in every state of an engine, bus mastering and memory taken away in
 * mid-transfer, memory that answers late. Nothing of it may outlast the disturbance.
 */
import { afterEach, describe, expect, it } from 'vitest';
import { ChannelDriver } from '../../../test/support/reference-driver';
import { ManualClock } from '../../clock';
import { COMMAND, InProcessHost } from '../../host';
import { DmaError, type RemoteMemory } from '../../memory';
import { IRQ_SOURCES, PROCESSING, REFERENCE_REGISTERS, ReferenceCard, type ReferenceCardOptions } from '.';

const cards: ReferenceCard[] = [];
afterEach(() => {
  for (const card of cards.splice(0)) card.close();
});

function setUp(options: ReferenceCardOptions = {}) {
  const clock = new ManualClock();
  const card = new ReferenceCard({ ...options, clock });
  cards.push(card);
  const host = new InProcessHost(card);
  return { card, host, clock, registers: host.registers(0, REFERENCE_REGISTERS) };
}
type Bench = ReturnType<typeof setUp>;

/** Turns host memory into memory that is reached by message. A message is answered when `answer` is called. */
function makeRemote({ card, host, clock }: Bench) {
  const { memory } = host;
  const waiting: (() => void)[] = [];
  let refuses = false;
  const exchange = (access: 'read' | 'write', iova: bigint, sizeBytes: number, move: (at: number) => void) =>
    new Promise<void>((resolve, reject) => {
      waiting.push(() => {
        if (refuses) return reject(new DmaError('client-error', access, Number(iova), sizeBytes));
        move(Number(iova) - memory.iova);
        resolve();
      });
    });
  const remote: RemoteMemory = {
    read: (iova, into) =>
      exchange('read', iova, into.length, (at) => into.set(memory.bytes.subarray(at, at + into.length))),
    write: (iova, from) => {
      const data = from.slice();
      return exchange('write', iova, data.length, (at) => memory.bytes.set(data, at));
    },
  };
  card.unmapDma(0n, 1n << 53n);
  card.mapDma({
    iova: BigInt(memory.iova),
    sizeBytes: BigInt(memory.bytes.length),
    readable: true,
    writable: true,
    backing: { kind: 'remote', memory: remote },
  });
  const answer = async (): Promise<void> => {
    clock.runDue();
    waiting.shift()?.();
    await new Promise((resolve) => setImmediate(resolve));
    clock.runDue();
  };
  return {
    waiting,
    answer,
    /** Answers until nothing is asked any more. */
    async settle(): Promise<void> {
      do await answer();
      while (waiting.length > 0);
    },
    refuse: (yes: boolean) => (refuses = yes),
  };
}

const resets: Record<string, (bench: Bench, channel: ChannelDriver) => void> = {
  'CONTROL.RESET of the channel': (_, channel) => channel.write('CONTROL', 0b10),
  'SOFT_RESET': ({ registers }) => registers.write('CONTROL', 1),
  'a function-level reset': ({ host }) => {
    host.config.write16(0x88, 1 << 15);
    host.enumerate();
  },
  'a reset by the client': ({ card, host }) => {
    card.reset();
    host.enumerate();
  },
};

/** Brings an engine into a state, on a card whose link passes 1 MB/s. */
const states: Record<string, (bench: Bench) => ChannelDriver> = {
  'idle': ({ host }) => new ChannelDriver(host, 'H2C'),
  'set up, with descriptors that wait for RUN': (bench) => {
    const channel = new ChannelDriver(bench.host, 'H2C');
    channel.write('CONTROL', 0);
    channel.submit(job(bench), job(bench));
    return channel;
  },
  'in mid-transfer': (bench) => {
    const channel = new ChannelDriver(bench.host, 'H2C');
    channel.submit(job(bench), job(bench));
    bench.clock.advance(500_000);
    return channel;
  },
  'halted on an error': (bench) => {
    const channel = new ChannelDriver(bench.host, 'H2C');
    channel.submit({ ...job(bench), lengthBytes: 0 }, job(bench));
    bench.clock.runDue();
    return channel;
  },
  'waiting for a stream that has nothing': (bench) => {
    bench.registers.write('PAIR[0].PROCESSING', PROCESSING.LOOPBACK);
    const channel = new ChannelDriver(bench.host, 'C2H');
    channel.submit(job(bench));
    bench.clock.runDue();
    return channel;
  },
  'waiting for a stream that is full': (bench) => {
    bench.registers.write('PAIR[0].PROCESSING', PROCESSING.LOOPBACK);
    const channel = new ChannelDriver(bench.host, 'H2C');
    channel.submit({ ...job(bench), lengthBytes: 2 << 20 });
    bench.clock.advance(2e9);
    return channel;
  },
  'armed with a moderated interrupt': (bench) => {
    const channel = new ChannelDriver(bench.host, 'H2C');
    channel.write('MODERATION', (5000 << 16) | 10);
    channel.submit(job(bench), job(bench));
    bench.clock.advance(2_000_000);
    return channel;
  },
};

/** A descriptor for memory behind the rings. */
const job = ({ host }: Bench) => ({ hostAddress: host.memory.iova + (1 << 20), lengthBytes: 1000, interrupt: true });

describe.each(Object.entries(resets))('%s', (_, reset) => {
  it.each(Object.entries(states))(
    'of an engine that is %s leaves nothing running, and a ring to start anew',
    (_, enter) => {
      const bench = setUp({ link: { bytesPerSecond: 1e6 } });
      const { host, clock, registers } = bench;
      const channel = enter(bench);
      reset(bench, channel);
      host.useInterrupts('msix', 8);
      registers.write('IRQ_STATUS', 0x1f);
      registers.write('IRQ_ENABLE', 0x1f);
      const before = [0, 1, 2, 3].map((vector) => host.interrupts.count(vector));
      clock.advance(1e10);
      expect(channel.state).toMatchObject({
        busy: false,
        halted: false,
        error: false,
        consumer: 0,
        completed: 0,
        bytes: 0n,
      });
      expect([0, 1, 2, 3].map((vector) => host.interrupts.count(vector))).toEqual(before);
      expect(clock.nextDueNs).toBeUndefined();

      registers.write('PAIR[0].PROCESSING', PROCESSING.MEMORY);
      channel.write('MODERATION', 0);
      channel.setUp();
      channel.submit(job(bench));
      clock.advance(1_000_000);
      expect(channel.state).toMatchObject({ completed: 1, consumer: 1, bytes: 1000n });
      expect(channel.writeback.view.getUint32(0, true)).toBe(1);
      expect([0, 1, 2, 3].reduce((sum, vector) => sum + host.interrupts.count(vector), 0)).toBe(1);
    },
  );

  it('while a report is on its way by message drops the interrupt that would follow', async () => {
    const bench = setUp();
    const { host, registers } = bench;
    const remote = makeRemote(bench);
    const channel = new ChannelDriver(host, 'H2C');
    channel.submit(job(bench));
    while (channel.state.completed === 0) await remote.answer();
    expect(remote.waiting).toHaveLength(1);
    reset(bench, channel);
    host.useInterrupts('msix', 8);
    registers.write('IRQ_ENABLE', 0x1f);
    await remote.settle();
    expect(host.interrupts.count(IRQ_SOURCES.H2C0)).toBe(0);
    channel.setUp();
    channel.submit(job(bench));
    await remote.settle();
    expect(channel.state).toMatchObject({ completed: 1, consumer: 1 });
    expect(host.interrupts.count(IRQ_SOURCES.H2C0)).toBe(1);
  });

  it('while an error is reported by message leaves no error behind', async () => {
    const bench = setUp();
    const remote = makeRemote(bench);
    const channel = new ChannelDriver(bench.host, 'H2C');
    channel.submit({ ...job(bench), lengthBytes: 0 });
    while (!channel.state.halted) await remote.answer();
    reset(bench, channel);
    await remote.settle();
    expect(channel.state).toMatchObject({ halted: false, error: false, errorCode: 0 });
    channel.setUp();
    channel.submit(job(bench));
    await remote.settle();
    expect(channel.state.completed).toBe(1);
  });
});

it('a function-level reset forgets data that is on its way from the host: card memory stays what the driver makes it', async () => {
  const bench = setUp();
  const { host } = bench;
  const remote = makeRemote(bench);
  host.memory.bytes.fill(0xaa, 0x2000, 0x3000);
  const channel = new ChannelDriver(host, 'H2C');
  channel.submit({ hostAddress: host.memory.iova + 0x2000, lengthBytes: 16 });
  await remote.answer();
  expect(remote.waiting).toHaveLength(1);
  resets['a function-level reset']!(bench, channel);
  host.bar(2).write32(0, 0x1234_5678);
  await remote.settle();
  expect(host.bar(2).read64(0)).toBe(0x1234_5678n);
});

describe('bus mastering taken away in mid-transfer', () => {
  it('halts the engine with BUS_MASTER_OFF; it goes on where it was when the driver gives it back', () => {
    const { host, clock, registers } = setUp({ link: { bytesPerSecond: 1e6 } });
    host.useInterrupts('intx');
    registers.write('IRQ_ENABLE', 0x1f);
    const h2c = new ChannelDriver(host, 'H2C');
    const work = { hostAddress: host.memory.iova, lengthBytes: 1000 };
    h2c.submit(work, work);
    clock.advance(1_500_000);
    host.command(COMMAND.MEMORY_SPACE);
    clock.advance(1_000_000);
    expect(h2c.state).toMatchObject({ halted: true, errorCode: 5, errorIndex: 1, completed: 1 });
    expect(host.interrupts.count()).toBe(1);
    host.command(COMMAND.MEMORY_SPACE | COMMAND.BUS_MASTER);
    h2c.clearError();
    clock.advance(1_000_000);
    expect(h2c.state).toMatchObject({ halted: false, completed: 2, bytes: 2000n });
    expect(h2c.writeback.view.getUint32(0, true)).toBe(2);
  });

  it('holds the message back that tells of it until the driver gives it back', () => {
    const { host, clock, registers } = setUp({ link: { bytesPerSecond: 1e6 } });
    host.useInterrupts('msix', 8);
    registers.write('IRQ_ENABLE', 0x1f);
    const h2c = new ChannelDriver(host, 'H2C');
    h2c.submit({ hostAddress: host.memory.iova, lengthBytes: 1000 });
    clock.runDue();
    host.command(COMMAND.MEMORY_SPACE);
    clock.advance(1_000_000);
    expect(h2c.state.halted).toBe(true);
    expect(host.interrupts.count(IRQ_SOURCES.H2C0)).toBe(0);
    host.command(COMMAND.MEMORY_SPACE | COMMAND.BUS_MASTER);
    expect(host.interrupts.count(IRQ_SOURCES.H2C0)).toBe(1);
  });
});

describe('memory unmapped in mid-transfer', () => {
  it('halts the engine with the address that is not there any more; it goes on when it is', () => {
    const { card, host, clock, registers } = setUp({ link: { bytesPerSecond: 1e6 } });
    registers.write('PAIR[0].PROCESSING', PROCESSING.LOOPBACK);
    const c2h = new ChannelDriver(host, 'C2H');
    const h2c = new ChannelDriver(host, 'H2C');
    c2h.submit({ hostAddress: host.memory.iova + 0x1000, lengthBytes: 16 });
    clock.runDue();
    const removed = card.unmapDma(0n, 1n << 53n);
    h2c.submit({ hostAddress: host.memory.iova, lengthBytes: 16, endOfPacket: true });
    clock.advance(1_000_000);
    expect(h2c.state).toMatchObject({ halted: true, errorCode: 3, errorAddress: BigInt(h2c.ring.iova) });
    for (const mapping of removed) card.mapDma(mapping);
    h2c.clearError();
    clock.advance(1_000_000);
    expect([h2c.state.completed, c2h.state.completed]).toEqual([1, 1]);
  });
});

describe('memory that is mapped by the page, as behind an IOMMU', () => {
  const PAGE = 4096;
  const IOVA = 0x7000_0000;

  /** Pages side by side for the card, in reverse order in memory; the rings stay where they are. */
  function mapPages({ card, host }: Bench, count: number, writable = true) {
    const { bytes } = host.memory.allocate(count * PAGE);
    const pages = Array.from({ length: count }, (_, page) => {
      const memory = bytes.subarray((count - 1 - page) * PAGE, (count - page) * PAGE);
      card.mapDma({
        iova: BigInt(IOVA + page * PAGE),
        sizeBytes: BigInt(PAGE),
        readable: true,
        writable,
        backing: { kind: 'bytes', bytes: memory },
      });
      return memory;
    });
    return { pages, unmap: (page: number) => card.unmapDma(BigInt(IOVA + page * PAGE), BigInt(PAGE)) };
  }

  const pattern = (page: number): Uint8Array => new Uint8Array(PAGE).fill(page + 1);

  it('is reached by one descriptor over all of its pages', () => {
    const bench = setUp();
    const { pages } = mapPages(bench, 64);
    pages.forEach((memory, page) => memory.set(pattern(page)));
    const h2c = new ChannelDriver(bench.host, 'H2C');
    h2c.submit({ hostAddress: IOVA + 5, lengthBytes: 64 * PAGE - 5 });
    bench.clock.runDue();
    expect(h2c.state).toMatchObject({ halted: false, completed: 1 });
    expect([...bench.card.memory.subarray(0, 2)]).toEqual([1, 1]);
    expect(bench.card.memory[63 * PAGE]).toBe(64);
  });

  it('halts the engine at the first address that is not mapped, or not for writing', () => {
    const bench = setUp();
    const { pages, unmap } = mapPages(bench, 8);
    unmap(5);
    const c2h = new ChannelDriver(bench.host, 'C2H');
    c2h.submit({ hostAddress: IOVA + 100, lengthBytes: 7 * PAGE });
    bench.clock.runDue();
    expect(c2h.state).toMatchObject({ halted: true, errorCode: 3, errorAddress: BigInt(IOVA + 5 * PAGE) });
    expect(pages[6]!.every((byte) => byte === 0)).toBe(true);
    bench.card.mapDma({
      iova: BigInt(IOVA + 5 * PAGE),
      sizeBytes: BigInt(PAGE),
      readable: true,
      writable: false,
      backing: { kind: 'bytes', bytes: pages[5]! },
    });
    c2h.clearError();
    bench.clock.runDue();
    expect(c2h.state).toMatchObject({ halted: true, errorCode: 3, errorAddress: BigInt(IOVA + 5 * PAGE) });
    expect(pages[5]!.every((byte) => byte === 0)).toBe(true);
  });

  it('unmapped behind a transfer under way is refused to the rest of it; mapped anew elsewhere, it goes there', () => {
    const bench = setUp({ link: { bytesPerSecond: 1e6 } });
    const { pages, unmap } = mapPages(bench, 3);
    const c2h = new ChannelDriver(bench.host, 'C2H');
    bench.card.memory.fill(0xaa);
    const jobs = pages.map((_, page) => ({ hostAddress: IOVA + page * PAGE, lengthBytes: PAGE }));
    c2h.submit(...jobs);
    bench.clock.advance(6_000_000); // the first page is done, the second under way
    expect(c2h.state).toMatchObject({ halted: false, completed: 1 });
    unmap(2);
    bench.clock.advance(1e9);
    expect(c2h.state).toMatchObject({ halted: true, completed: 2, errorAddress: BigInt(IOVA + 2 * PAGE) });
    const elsewhere = new Uint8Array(PAGE);
    bench.card.mapDma({
      iova: BigInt(IOVA + 2 * PAGE),
      sizeBytes: BigInt(PAGE),
      readable: true,
      writable: true,
      backing: { kind: 'bytes', bytes: elsewhere },
    });
    c2h.clearError();
    bench.clock.advance(1e9);
    expect(c2h.state.completed).toBe(3);
    expect([elsewhere[0], pages[2]![0]]).toEqual([0xaa, 0]);
  });
});

describe('memory that is reached by message', () => {
  it('takes a LOOPBACK pair of channels through many turns of the stream, and loses no byte', async () => {
    const bench = setUp();
    const { host, registers } = bench;
    const remote = makeRemote(bench);
    registers.write('PAIR[1].PROCESSING', PROCESSING.LOOPBACK);
    const h2c = new ChannelDriver(host, 'H2C', 1);
    const c2h = new ChannelDriver(host, 'C2H', 1);
    const packetBytes = 700_001;
    const source = host.memory.allocate(packetBytes);
    const target = host.memory.allocate(packetBytes);
    for (let round = 1; round <= 4; round++) {
      source.bytes.forEach((_, index) => (source.bytes[index] = (index * 31 + round * 7) ^ (index >> 8)));
      target.bytes.fill(0);
      const half = packetBytes >>> 1;
      c2h.submit(
        { hostAddress: target.iova, lengthBytes: half },
        { hostAddress: target.iova + half, lengthBytes: packetBytes },
      );
      h2c.submit({ hostAddress: source.iova, lengthBytes: packetBytes, endOfPacket: true });
      await remote.settle();
      expect([h2c.state.completed, c2h.state.completed]).toEqual([round, 2 * round]);
      expect(Buffer.compare(source.bytes, target.bytes)).toBe(0);
    }
  });

  it('that refuses an access halts the engine, which goes on when it does not', async () => {
    const bench = setUp();
    const remote = makeRemote(bench);
    const channel = new ChannelDriver(bench.host, 'H2C');
    channel.submit(job(bench));
    remote.refuse(true);
    await remote.settle();
    expect(channel.state).toMatchObject({ halted: true, errorCode: 3, errorAddress: BigInt(channel.ring.iova) });
    remote.refuse(false);
    channel.clearError();
    await remote.settle();
    expect(channel.state).toMatchObject({ halted: false, completed: 1 });
  });
});
