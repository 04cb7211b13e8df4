import { describe, expect, it } from 'vitest';
import { registerMap } from '../../emulator/registers';
import { type TraceEvent, type TraceHeader } from '../trace';
import { exportPerfetto, type PerfettoEvent } from '.';
import { at, describing } from '../../test/support/traces';

const MAP = registerMap({
  H2C: { offset: 0, stride: 8, count: 2, registers: { DOORBELL: { offset: 0, access: 'rw' } } },
  STATUS: { offset: 0x20, access: 'ro' },
});
const header: TraceHeader = {
  ...{ format: 'ghostcard-trace', version: 1, writer: '0.1.0', startedAt: '2026-01-01T00:00:00.000Z' },
  ...{ payloads: 'full', lostEvents: 0 },
};
const card: TraceEvent = { ...at(0), kind: 'card', description: describing('dut', MAP) };
const write = (timeNs: number, offset: number): TraceEvent => ({
  ...{ ...at(timeNs), kind: 'write', region: 0, offset, data: Uint8Array.of(1, 0, 0, 0) },
});
const dma = (timeNs: number, channel: string): TraceEvent => ({
  ...{ ...at(timeNs), kind: 'dma-read', channel, role: 'data', iova: 0x1000, sizeBytes: 64 },
});
const interrupt = (timeNs: number, vector = 0): TraceEvent => ({
  ...{ ...at(timeNs), kind: 'interrupt', phase: 'sent', index: 2, vector },
});
const state = (timeNs: number, to: string): TraceEvent => ({ ...at(timeNs), kind: 'state', part: 'H2C0', state: to });
const mark: TraceEvent = { card: 0, timeNs: 0, hostNs: 0, kind: 'mark', from: 'host', text: 'here' };

function exported(...events: TraceEvent[]): PerfettoEvent[] {
  const whole = JSON.parse(exportPerfetto({ header, events: [card, ...events] })) as { traceEvents: PerfettoEvent[] };
  return whole.traceEvents;
}

/** What the Trace Event Format asks of an event of each phase, beside name, pid and tid. */
const REQUIRED: Record<PerfettoEvent['ph'], readonly (keyof PerfettoEvent)[]> = {
  X: ['ts', 'dur', 'cat'],
  B: ['ts'],
  E: ['ts'],
  i: ['ts', 's'],
  C: ['ts', 'args'],
  M: ['args'],
  s: ['ts', 'id', 'cat'],
  f: ['ts', 'id', 'cat', 'bp'],
};

describe('a trace for Perfetto', () => {
  it('keeps to the format: what each phase needs is there, times rise, slices and flows are paired', () => {
    const events = exported(
      ...[mark, state(1, 'running'), write(2, 0), dma(2, 'H2C0'), interrupt(2), state(3, 'idle'), write(9, 0x20)],
    );
    for (const event of events) {
      expect(event).toMatchObject({ name: expect.any(String), pid: expect.any(Number), tid: expect.any(Number) });
      expect(Object.keys(event)).toEqual(expect.arrayContaining([...REQUIRED[event.ph]]));
    }
    const happening = events.filter(({ ph }) => ph !== 'M' && ph !== 's' && ph !== 'f');
    expect(happening.every(({ ts }, i) => i === 0 || ts! >= happening[i - 1]!.ts!)).toBe(true);
    const count = (phase: string) => events.filter(({ ph }) => ph === phase).length;
    expect(count('B')).toBe(2);
    expect(count('E')).toBe(2);
    expect([count('s'), count('f')]).toEqual([1, 1]);
  });

  it('has a process for the card and a thread for each of its parts, by name', () => {
    const events = exported(write(1, 0), dma(1, 'H2C0'), interrupt(1), state(1, 'idle'));
    const named = events.filter(({ ph }) => ph === 'M').map(({ name, args }) => `${name} ${String(args!.name)}`);
    expect(named).toEqual([
      ...['process_name run', 'process_name dut', 'thread_name registers', 'thread_name DMA H2C0'],
      ...['thread_name MSI-X vector 0', 'thread_name state of H2C0'],
    ]);
  });

  it('has who did an access among its arguments', () => {
    const place: TraceEvent = { ...at(0, 0), kind: 'place', place: 1, pid: 71, process: 'driver', address: '0x1' };
    const named: TraceEvent = { ...place, name: 'driver.c:5 ring' };
    const events = exported(write(1, 0), place, { ...at(1), kind: 'origin', place: 1 }, write(2, 0), named);
    const slices = events.filter(({ ph }) => ph === 'X');
    expect(slices.map(({ args }) => args!.by)).toEqual(['driver.c:5 ring (driver, process 71)', undefined]);
    expect(events.filter(({ ph }) => ph === 'i')).toEqual([]);
  });

  it('keeps the order of what happens at one instant', () => {
    const slices = exported(write(5, 0), dma(5, 'H2C0'), dma(5, 'H2C0')).filter(({ ph }) => ph === 'X');
    expect(slices.map(({ ts }) => ts)).toEqual([0.005, 0.006, 0.007]);
  });

  it('draws an arrow from a doorbell to the interrupt of its channel, once', () => {
    const answered = [write(1, 0), write(2, 8), dma(3, 'H2C1'), interrupt(4), dma(4, 'H2C0'), interrupt(5, 1)];
    const events = exported(...answered, interrupt(9));
    const arrows = events.filter(({ ph }) => ph === 's' || ph === 'f');
    expect(arrows.map(({ ph, ts }) => [ph, ts])).toEqual([
      ['s', 0.002],
      ['f', 0.004],
      ['s', 0.001],
      ['f', 0.006],
    ]);
  });

  it('counts the bytes of each channel', () => {
    const counts = exported(dma(1, 'A'), dma(2, 'A'), dma(3, 'B')).filter(({ ph }) => ph === 'C');
    expect(counts.map(({ name, args }) => [name, args!.bytes])).toEqual([
      ['DMA A bytes', 64],
      ['DMA A bytes', 128],
      ['DMA B bytes', 64],
    ]);
  });

  it('is JSON without any event too', () => {
    expect(JSON.parse(exportPerfetto({ header, events: [] })).traceEvents).toHaveLength(1);
  });
});
