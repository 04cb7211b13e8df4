import { describe, expect, it } from 'vitest';
import { registerMap } from '../../emulator/registers';
import { type TraceEvent } from '../trace';
import { type DiffOptions, diffTraces } from '.';
import { at, describing } from '../../test/support/traces';

const MAP = registerMap({
  STATUS: { offset: 0, access: 'ro' },
  DOORBELL: { offset: 4, access: 'rw' },
  RING: { offset: 8, width: 64, access: 'rw' },
});
const card: TraceEvent = { ...at(0), kind: 'card', description: describing('dut', MAP) };
const access = (kind: 'read' | 'write', offset: number, value: number, sizeBytes = 4): TraceEvent => ({
  ...at(1),
  ...{ kind, region: 0, offset, data: Uint8Array.from({ length: sizeBytes }, (_, i) => (value / 256 ** i) & 0xff) },
});
const read = (value: number): TraceEvent => access('read', 0, value);
const write = (value: number): TraceEvent => access('write', 4, value);
const dma = (iova: number, more: object = {}): TraceEvent =>
  ({
    ...{ ...at(1), kind: 'dma-read', channel: 'A', role: 'data', iova, sizeBytes: 4, data: Uint8Array.of(1, 2, 3, 4) },
    ...more,
  }) as TraceEvent;
const interrupt: TraceEvent = { ...at(1), kind: 'interrupt', phase: 'sent', index: 2, vector: 0 };
const task: TraceEvent = { ...at(1), kind: 'task' };

const diff = (a: TraceEvent[], b: TraceEvent[], options: DiffOptions = {}) =>
  diffTraces({ events: [card, ...a] }, { events: [card, ...b] }, options);
/** The places of the difference, without the card's description before. */
const placesOf = (...of: Parameters<typeof diff>) => {
  const { difference } = diff(...of);
  return difference && [difference.lane, difference.atA - 1, difference.atB - 1];
};

describe('two runs', () => {
  it('are the same when only times differ', () => {
    const later = (event: TraceEvent): TraceEvent => ({ ...event, timeNs: event.timeNs + 500, hostNs: 9 });
    const events = [write(1), dma(0x1000), interrupt, read(0)];
    expect(diff(events, events.map(later))).toMatchObject({ same: 5, renamed: [] });
    expect(placesOf(events, events.map(later), { strict: true })).toBeUndefined();
  });

  it('differ in what the driver writes, or reads, or where', () => {
    expect(placesOf([write(1), write(2)], [write(1), write(3)])).toEqual(['driver', 1, 1]);
    expect(placesOf([read(1)], [read(2)])).toEqual(['driver', 0, 0]);
    expect(placesOf([read(1)], [access('read', 4, 1)])).toEqual(['driver', 0, 0]);
  });

  it('differ where one goes on', () => {
    expect(placesOf([write(1)], [write(1), write(2)])).toEqual(['driver', 1, 1]);
    expect(placesOf([write(1), interrupt], [write(1)])).toEqual(['card', 1, 1]);
  });

  it('do not differ in when a command begins, which is no act of the driver; strictly, and in other marks, they do', () => {
    const mark = (from: 'command' | 'guest'): TraceEvent => ({ ...at(0), kind: 'mark', card: 0, from, text: 'here' });
    const [command, guest] = [mark('command'), mark('guest')];
    expect(placesOf([command, write(1)], [write(1), command])).toBeUndefined();
    expect(placesOf([command, write(1)], [write(1), command], { strict: true })).toEqual(['all', 0, 0]);
    expect(placesOf([guest, write(1)], [write(1), guest])).toEqual(['driver', 0, 0]);
  });

  it('do not differ in how often is polled, or in tasks; strictly they do', () => {
    const [few, many] = [
      [read(0), read(0), read(1)],
      [read(0), task, read(0), read(0), read(1), read(1)],
    ];
    expect(placesOf(few, many)).toBeUndefined();
    expect(diff(few, many).polls).toEqual([1, 3]);
    expect(placesOf(few, many, { strict: true })).toEqual(['all', 1, 1]);
  });

  it('differ when a write is repeated', () => {
    expect(placesOf([write(1)], [write(1), write(1)])).toEqual(['driver', 1, 1]);
    expect(placesOf([read(0), write(1), read(0)], [read(0), write(1)])).toEqual(['driver', 2, 2]);
  });

  it('do not differ in how the driver falls between what the card does; strictly they do', () => {
    const [one, other] = [
      [write(1), read(0), interrupt],
      [write(1), interrupt, read(0)],
    ];
    expect(placesOf(one, other)).toBeUndefined();
    expect(placesOf(one, other, { strict: true })).toEqual(['all', 1, 1]);
  });

  it('differ when an interrupt comes before its write-back', () => {
    const writeBack = dma(0x2000, { kind: 'dma-write', role: 'write-back' });
    expect(placesOf([write(1), writeBack, interrupt], [write(1), interrupt, writeBack])).toEqual(['card', 1, 1]);
  });

  it('may have their memory elsewhere, in DMA, registers and descriptors, which the result lists', () => {
    const run = (ring: number, buffer: number): TraceEvent[] => [
      access('write', 8, ring, 8),
      dma(ring, { role: 'descriptor', sizeBytes: 8, data: Uint8Array.of(...[1, 0, 0, 0, 0x00], buffer >> 8, 0, 0) }),
      dma(buffer),
    ];
    expect(diff(run(0x1000, 0x2000), run(0x7000, 0x9000))).toEqual({
      ...{ same: 4, polls: [0, 0], hasPayloads: true },
      renamed: [
        { a: 0x1000, b: 0x7000 },
        { a: 0x2000, b: 0x9000 },
      ],
    });
    expect(placesOf(run(0x1000, 0x2000), run(0x7000, 0x9000), { strict: true })).toEqual(['all', 0, 0]);
  });

  it('differ when a buffer is mistaken for another', () => {
    expect(placesOf([dma(0x1000), dma(0x2000), dma(0x1000)], [dma(0x3000), dma(0x4000), dma(0x4000)])).toEqual([
      ...['card', 2, 2],
    ]);
    expect(placesOf([dma(0x1000), dma(0x2000)], [dma(0x3000), dma(0x3000)])).toEqual(['card', 1, 1]);
    expect(placesOf([dma(0x1000)], [dma(0x1004)])).toEqual(['card', 0, 0]);
  });

  it('differ in addresses only, which the result says, and not at all when these are ignored', () => {
    const run = (ring: number, second: number): TraceEvent[] => [
      access('write', 8, ring, 8),
      dma(ring, { role: 'descriptor', sizeBytes: 8, data: Uint8Array.of(1, 0, 0, 0, 0, second >> 8, 0, 0) }),
      dma(0x2000),
      dma(second),
    ];
    const [a, b] = [run(0x1000, 0x2000), run(0x1000, 0x3000)];
    expect(diff(a, b).difference).toEqual({ lane: 'card', atA: 3, atB: 3, isOfAddresses: true });
    expect(diff(a, run(0x7000, 0x3000), { strict: true }).difference).toMatchObject({ isOfAddresses: true });
    for (const strict of [false, true]) {
      expect(diff(a, run(0x7000, 0x3000), { ignoreAddresses: true, strict }).difference).toBeUndefined();
    }
    expect(diff([write(1)], [write(2)]).difference).toEqual({ lane: 'driver', atA: 1, atB: 1 });
    expect(placesOf([write(0x1000)], [write(0x2000)], { ignoreAddresses: true })).toEqual(['driver', 0, 0]);
  });

  it('differ in numbers that are no addresses', () => {
    expect(placesOf([write(0x1000)], [write(0x2000)])).toEqual(['driver', 0, 0]);
  });

  it('differ in the bytes of DMA unless these are ignored, in who does it, and in whether it fails', () => {
    const other = dma(0x1000, { data: Uint8Array.of(9, 9, 9, 9) });
    expect(placesOf([dma(0x1000)], [other])).toEqual(['card', 0, 0]);
    expect(placesOf([dma(0x1000)], [other], { ignoreData: true })).toBeUndefined();
    expect(placesOf([dma(0x1000)], [dma(0x1000, { channel: 'B' })])).toEqual(['card', 0, 0]);
    expect(placesOf([dma(0x1000)], [dma(0x1000, { error: 'unmapped' })])).toEqual(['card', 0, 0]);
  });

  it('of which one has no payloads are compared without', () => {
    const without = dma(0x1000, { data: undefined });
    expect(diff([dma(0x1000)], [without])).toMatchObject({ same: 2, hasPayloads: false });
  });

  it('are compared without registers that are to be ignored, and without configuration space', () => {
    expect(placesOf([read(1), write(5)], [read(2), write(5)], { ignoreRegisters: ['STAT*'] })).toBeUndefined();
    const config = (value: number): TraceEvent => ({ ...access('read', 0, value), region: 7 }) as TraceEvent;
    expect(placesOf([config(1)], [config(2)])).toEqual(['driver', 0, 0]);
    expect(placesOf([config(1)], [config(2)], { withoutConfig: true })).toBeUndefined();
  });
});
