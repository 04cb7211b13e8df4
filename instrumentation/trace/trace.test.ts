import { describe, expect, it } from 'vitest';
import { ReferenceCard } from '../../emulator/cards/reference';
import { ManualClock } from '../../emulator/clock';
import { InProcessHost } from '../../emulator/host';
import { type IrqSink } from '../../emulator/device';
import { type AccessEvent } from '../../emulator/pci';
import { describeTrace, traceOf } from '.';
import { EventRing, type RecentEvent } from './event-ring';

const BAR0 = 0;
const SCRATCH = 0x0c;
const SCRATCH64 = 0x20;

function setUp() {
  const clock = new ManualClock();
  const card = new ReferenceCard({ clock });
  const host = new InProcessHost(card);
  return { card, clock, host, bar: host.bar(BAR0), trace: traceOf(card) };
}

const lastLines = (card: ReferenceCard, last: number) =>
  describeTrace(traceOf(card), { last, withoutConfig: true }).filter((line) => !line.endsWith('earlier)'));

describe('the ring of events', () => {
  const add = (ring: EventRing, offset: number, value = 0) =>
    ring.add({ kind: 'read', region: 0, offset, data: Uint8Array.of(value, 0, 0, 0) }, offset);
  const accesses = (ring: EventRing) => [...ring.newestFirst()] as (RecentEvent & AccessEvent)[];

  it('keeps the last events, and says how many it has lost', () => {
    const ring = new EventRing(3);
    for (let offset = 0; offset < 5; offset++) add(ring, offset);
    expect(accesses(ring).map(({ offset }) => offset)).toEqual([4, 3, 2]);
    expect([ring.length, ring.forgotten]).toEqual([3, 2]);
  });

  it('counts an event that equals the one before, so that polling pushes nothing out', () => {
    const ring = new EventRing(3);
    add(ring, 1);
    for (let i = 0; i < 100; i++) add(ring, 2);
    add(ring, 2, 1);
    expect(accesses(ring).map(({ offset, data, times }) => [offset, data[0], times])).toEqual([
      [2, 1, 1],
      [2, 0, 100],
      [1, 0, 1],
    ]);
  });

  it('is empty at first', () => {
    expect([...new EventRing(3).newestFirst()]).toEqual([]);
  });
});

describe('the trace of a card', () => {
  it('names registers, and the fields that are not 0', () => {
    const { bar, card, clock } = setUp();
    clock.advance(1500);
    bar.write32(0x104, 0b1001);
    bar.read32(0x1000);
    expect(lastLines(card, 2)).toEqual([
      '         1.500 us  write IRQ_ENABLE 0x00000009 (H2C0=1, C2H1=1)',
      '         1.500 us  read H2C[0].CONTROL 0x00000000',
    ]);
  });

  it('says which part of a register was accessed, and gives an offset where there is none', () => {
    const { bar, card } = setUp();
    bar.write64(SCRATCH64, 0x1122_3344_5566_7788n);
    bar.write32(SCRATCH64 + 4, 0xaa);
    bar.read8(0x3000);
    expect(lastLines(card, 3).map((line) => line.trim().replace('0.000 us  ', ''))).toEqual([
      'write SCRATCH64 0x1122334455667788',
      'write SCRATCH64 + 4 0x000000aa (4 bytes)',
      'read BAR0 + 0x3000 0x00 (1 byte)',
    ]);
  });

  it('puts a write before what it leads to: DMA, its failure, interrupts, resets', () => {
    const { bar, card, clock, host } = setUp();
    host.useInterrupts('msix', 8);
    const ring = host.memory.allocate(64);
    const before = traceOf(card).dma('read').bytes;
    bar.write32(0x104, 0xf);
    bar.write64(0x1010, BigInt(ring.iova));
    bar.write32(0x108, 1);
    clock.runDue();
    const lines = lastLines(card, 2).map((line) => line.trim());
    expect(lines[0]).toContain('write IRQ_TRIGGER 0x00000001 (H2C0=1)');
    expect(lines[1]).toContain('interrupt sent MSI-X vector 0');
    expect(traceOf(card).interrupts(2)).toEqual([1]);
    expect(traceOf(card).connectedVectors(2)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(traceOf(card).dma('read').bytes).toBe(before);
    host.reset('flr');
    expect(describeTrace(traceOf(card)).join('\n')).toContain('function-level reset');
  });

  it('tells configuration space by its registers', () => {
    const { card } = setUp();
    expect(describeTrace(traceOf(card)).at(-1)).toContain('write config:COMMAND 0x0006');
  });

  it('says which capability a register belongs to, and knows the table of MSI-X', () => {
    const { card, host } = setUp();
    host.useInterrupts('msix', 1);
    const lines = describeTrace(traceOf(card)).map((line) => line.trim().replace('0.000 us  ', ''));
    expect(lines).toContain('write config:MSIX.CONTROL 0x8000 (ENABLE=1)');
    expect(lines).toContain('write MSIX.VECTOR[0].VECTOR_CONTROL 0x00000000');
  });

  it('reads host memory through the mappings that the card was given', () => {
    const { host, trace } = setUp();
    const buffer = host.memory.allocate(16);
    buffer.bytes.fill(7);
    expect(trace.hostMemory(buffer.iova, 16)).toEqual(new Uint8Array(16).fill(7));
    expect(trace.hostMemory(0, 16)).toBeUndefined();
    trace.device.unmapDma(BigInt(host.memory.iova), BigInt(host.memory.sizeBytes));
    expect(trace.hostMemory(buffer.iova, 16)).toBeUndefined();
  });

  it('tells listeners when a write has had its effect', () => {
    const { bar, card, trace } = setUp();
    const seen: number[] = [];
    const stop = trace.onChange(() => seen.push(card.registers.get('SCRATCH')));
    bar.write32(SCRATCH, 5);
    stop();
    bar.write32(SCRATCH, 6);
    expect(seen.at(-1)).toBe(5);
  });
});

describe('a traced device', () => {
  const sink = () => {
    const calls: string[] = [];
    const traced: IrqSink = { trigger: () => calls.push('trigger'), close: () => calls.push('close') };
    return { calls, traced };
  };

  it('closes a sink once, when the last vector that uses it has let go of it', () => {
    const { trace } = setUp();
    const { calls, traced } = sink();
    const connect = (start: number, sinks: (IrqSink | undefined)[]) =>
      trace.device.setIrqs({ index: 2, start, count: sinks.length, action: { kind: 'sinks', sinks } });
    connect(0, [traced, traced]);
    connect(0, [undefined]);
    expect(calls).toEqual([]);
    connect(1, [undefined]);
    expect(calls).toEqual(['close']);
  });

  it('leaves the sinks of a refused request to the caller', () => {
    const { trace } = setUp();
    const { calls, traced } = sink();
    const refused = { index: 2, start: 8, count: 1, action: { kind: 'sinks', sinks: [traced] } } as const;
    expect(() => trace.device.setIrqs(refused)).toThrow('MSI-X vectors 8 to 8');
    expect(calls).toEqual([]);
  });
});
