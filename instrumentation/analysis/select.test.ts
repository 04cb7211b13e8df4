import { describe, expect, it } from 'vitest';
import { registerMap } from '../../emulator/registers';
import { type TraceEvent } from '../trace';
import { EventSelector, type Selection, TraceCards } from '.';
import { at, describing } from '../../test/support/traces';

const MAP = registerMap({
  SCRATCH: { offset: 0, access: 'rw' },
  CH: {
    offset: 0x10,
    stride: 0x10,
    count: 2,
    registers: {
      STATUS: { offset: 0, access: 'ro', fields: { BUSY: [0], CODE: { bits: [3, 1], values: { BROKEN: 5 } } } },
      BASE: { offset: 8, width: 64, access: 'rw' },
    },
  },
});

const card: TraceEvent = { ...at(0), kind: 'card', description: describing('dut', MAP) };
const access = (kind: 'read' | 'write', offset: number, value: number, sizeBytes = 4, region = 0): TraceEvent => ({
  ...at(1000),
  kind,
  region,
  offset,
  data: Uint8Array.from({ length: sizeBytes }, (_, i) => (value / 256 ** i) & 0xff),
});
const dma = (channel: string, iova: number, sizeBytes = 16): TraceEvent => ({
  ...{ ...at(2000), kind: 'dma-read', role: 'data', channel, iova, sizeBytes },
});
const mark: TraceEvent = { card: 0, timeNs: 0, hostNs: 0, kind: 'mark', from: 'host', text: 'here' };

function selected(selection: Selection, ...events: TraceEvent[]): boolean[] {
  const cards = TraceCards.of([card]);
  const selector = new EventSelector(selection, cards);
  return events.map((event) => selector.selects(event));
}

describe('a selection of events', () => {
  it('is all when nothing is asked for', () => {
    expect(selected({}, card, access('read', 0, 0), mark)).toEqual([true, true, true]);
  });

  it('goes by kind', () => {
    expect(selected({ kinds: ['write', 'mark'] }, access('read', 0, 0), access('write', 0, 0), mark)).toEqual([
      ...[false, true, true],
    ]);
  });

  it.each<[string, boolean[]]>([
    ['SCRATCH', [true, false, false, false]],
    ['scratch', [true, false, false, false]],
    ['CH[*].STATUS', [false, true, true, false]],
    ['CH[1].*', [false, false, true, true]],
    ['CH[*].STATUS.BUSY', [false, true, true, false]],
    ['CH[*].STATUS.BUSY=1', [false, true, false, false]],
    ['CH[*].STATUS.CODE=broken', [false, false, true, false]],
    ['CH[*].STATUS.CODE=5', [false, false, true, false]],
    ['*=0x7', [true, false, false, false]],
  ])('goes by register, field and value: %s', (pattern, which) => {
    const events = [
      access('write', 0, 7),
      access('read', 0x10, 0b0001),
      access('read', 0x20, 0b1010),
      access('write', 0x2c, 1),
    ];
    expect(selected({ registers: [pattern] }, ...events)).toEqual(which);
  });

  it('finds a register inside an access of several', () => {
    const wide = access('read', 0x10, 1, 16);
    expect(selected({ registers: ['CH[0].BASE=0'] }, wide)).toEqual([true]);
    expect(selected({ registers: ['CH[0].BASE=1'] }, wide)).toEqual([false]);
  });

  it('goes by address, in host memory and in a region', () => {
    const events = [dma('A', 0x1000), dma('A', 0x1010), access('read', 0x1008, 0), access('read', 0x1008, 0, 4, 2)];
    expect(selected({ ranges: [{ from: 0x1008, to: 0x100f }] }, ...events)).toEqual([true, false, false, false]);
    expect(selected({ ranges: [{ region: 2, from: 0x100b, to: 0x100b }] }, ...events)).toEqual([
      ...[false, false, false, true],
    ]);
    const mapping: TraceEvent = { ...at(0), kind: 'unmap', iova: 0, sizeBytes: 1 << 20 };
    expect(selected({ ranges: [{ from: 0x1008, to: 0x1008 }] }, mapping)).toEqual([true]);
  });

  it('goes by channel, with its states; registers, addresses and channels add up', () => {
    const state: TraceEvent = { ...at(0), kind: 'state', part: 'H2C0', state: 'running' };
    const events = [dma('H2C0', 0), dma('C2H0', 0), state, access('read', 0, 0), mark];
    expect(selected({ channels: ['h2c*'] }, ...events)).toEqual([true, false, true, false, false]);
    expect(selected({ channels: ['C2H0'], registers: ['SCRATCH'] }, ...events)).toEqual([
      ...[false, true, false, true, false],
    ]);
  });

  it('goes by device time, and takes what belongs to no card with what comes before it', () => {
    const events = [mark, access('read', 0, 0), mark, dma('A', 0), mark];
    expect(selected({ fromNs: 1000, toNs: 1999 }, ...events)).toEqual([false, true, true, false, false]);
  });

  it('goes by card, by name or number', () => {
    const other = { ...access('read', 0, 0), card: 2 } as TraceEvent;
    expect(selected({ card: 'dut' }, access('read', 0, 0), other, mark)).toEqual([true, false, true]);
    expect(selected({ card: '2' }, access('read', 0, 0), other)).toEqual([false, true]);
  });

  it('leaves configuration space out', () => {
    expect(selected({ withoutConfig: true }, access('read', 0, 0, 4, 7), access('read', 0, 0))).toEqual([false, true]);
  });

  it('tells which patterns mean no register, and which are like it', () => {
    const selector = new EventSelector({ registers: ['CH[7].STATUS', 'SCRATCH', 'FOO'] }, TraceCards.of([card]));
    expect(selector.unknownRegisters).toEqual([
      {
        pattern: 'CH[7].STATUS',
        why: "the recording has no register or field 'CH[7].STATUS'; the nearest are CH[0].STATUS, CH[1].STATUS, CH[0].BASE",
      },
      {
        pattern: 'FOO',
        why: "the recording has no register or field 'FOO'; the nearest are SCRATCH, CH[0].BASE, CH[1].BASE",
      },
    ]);
  });
});
