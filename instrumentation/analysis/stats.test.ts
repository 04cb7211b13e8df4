import { describe, expect, it } from 'vitest';
import { registerMap } from '../../emulator/registers';
import { type TraceEvent } from '../trace';
import { traceStats } from '.';
import { distributionOf } from './stats';
import { at, describing } from '../../test/support/traces';

const MAP = registerMap({
  H2C: { offset: 0, stride: 8, count: 2, registers: { DOORBELL: { offset: 0, access: 'rw' } } },
  STATUS: { offset: 0x20, access: 'ro' },
});
const card: TraceEvent = { ...at(0), kind: 'card', description: describing('dut', MAP) };
const access = (kind: 'read' | 'write', timeNs: number, offset: number, hostNs = timeNs): TraceEvent => ({
  ...{ ...at(timeNs), hostNs, kind, region: 0, offset, data: Uint8Array.of(1, 0, 0, 0) },
});
const dma = (timeNs: number, channel: string, more: object = {}): TraceEvent =>
  ({
    ...{ ...at(timeNs), kind: 'dma-read', channel, role: 'data', iova: 0x1000, sizeBytes: 64 },
    ...more,
  }) as TraceEvent;
const interrupt = (timeNs: number, phase: 'raised' | 'held' | 'sent', hostNs = timeNs): TraceEvent => ({
  ...{ ...at(timeNs), hostNs, kind: 'interrupt', phase, index: 2, vector: 0 },
  ...(phase === 'held' && { reason: 'masked' }),
});
const statsOf = (...events: TraceEvent[]) => traceStats({ events: [card, ...events] });

describe('the numbers of a trace', () => {
  it('count events by kind and registers by access, most frequent first', () => {
    const { events, kinds, cards } = statsOf(
      access('read', 1, 0x20),
      access('read', 2, 0x20),
      access('write', 3, 0x40),
    );
    expect(events).toBe(4);
    expect(kinds[0]).toEqual({ kind: 'read', count: 2 });
    expect(cards[0]).toMatchObject({ name: 'dut', events: 4, deviceNs: 3 });
    expect(cards[0]!.places).toEqual([
      { place: 'STATUS', reads: 2, writes: 0 },
      { place: 'BAR0 + 0x40', reads: 0, writes: 1 },
    ]);
  });

  it('count memory of the card as one place', () => {
    const memory = [
      { region: 0, offset: 0x40, sizeBytes: 0x40 },
      { region: 2, offset: 0, sizeBytes: 0x1000 },
    ];
    const description = { ...describing('dut', MAP), memory };
    const inBar2 = [0, 4, 8].map((offset) => ({ ...access('write', 1, offset), region: 2 }) as TraceEvent);
    const events = [
      { ...card, description } as TraceEvent,
      ...inBar2,
      access('read', 1, 0x7f),
      access('read', 1, 0x80),
    ];
    expect(traceStats({ events }).cards[0]!.places).toEqual([
      { place: 'BAR2 (memory)', reads: 0, writes: 3 },
      { place: 'BAR0 + 0x40 (memory)', reads: 1, writes: 0 },
      { place: 'BAR0 + 0x80', reads: 1, writes: 0 },
    ]);
  });

  it('tell what channels have moved, payload apart, in which time, and what failed', () => {
    const [channel] = statsOf(
      dma(1000, 'H2C0', { role: 'descriptor', sizeBytes: 32 }),
      dma(1500, 'H2C0'),
      dma(2000, 'H2C0', { kind: 'dma-write', role: 'write-back', sizeBytes: 4 }),
      dma(3000, 'H2C0', { error: 'unmapped', iova: 0xdead }),
      dma(3000, 'H2C0', { error: 'unmapped', iova: 0xbeef }),
    ).cards[0]!.channels;
    expect(channel).toEqual({
      channel: 'H2C0',
      reads: { count: 2, bytes: 96, dataBytes: 64 },
      writes: { count: 1, bytes: 4, dataBytes: 0 },
      deviceNs: 2000,
      errors: [{ reason: 'unmapped', count: 2, firstIova: 0xdead }],
    });
  });

  it('count interrupts that were raised, held and sent', () => {
    const { interrupts } = statsOf(interrupt(1, 'raised'), interrupt(1, 'held'), interrupt(2, 'sent')).cards[0]!;
    expect(interrupts).toEqual([
      { interrupt: 'MSI-X vector 0', raised: 1, sent: 1, held: [{ reason: 'masked', count: 1 }] },
    ]);
  });

  it('measure from a doorbell to the interrupt of its channel, in device and host time', () => {
    const { latencies } = statsOf(
      access('write', 100, 0, 1000), // H2C[0].DOORBELL
      access('write', 200, 8, 2000), // H2C[1].DOORBELL
      dma(300, 'H2C1'),
      interrupt(350, 'sent', 9000),
      interrupt(360, 'sent'), // answers nothing: H2C1 has had its interrupt, H2C0 is still at it
      dma(400, 'H2C0'),
      interrupt(500, 'sent', 5000),
    ).cards[0]!;
    const one = (value: number) => ({ count: 1, min: value, median: value, p90: value, p99: value, max: value });
    expect(latencies).toEqual([
      { channel: 'H2C1', device: one(150), host: one(7000) },
      { channel: 'H2C0', device: one(400), host: one(4000) },
    ]);
  });

  it('take other registers for doorbells when asked to', () => {
    const events = [card, access('write', 1, 0x20), interrupt(5, 'sent')];
    expect(traceStats({ events }).cards[0]!.latencies).toEqual([]);
    expect(traceStats({ events }, { doorbells: 'STATUS' }).cards[0]!.latencies[0]!.device.max).toBe(4);
  });

  it('give percentiles by the nearest rank', () => {
    const values = Array.from({ length: 100 }, (_, i) => 100 - i);
    expect(distributionOf(values)).toEqual({ count: 100, min: 1, median: 50, p90: 90, p99: 99, max: 100 });
  });
});
