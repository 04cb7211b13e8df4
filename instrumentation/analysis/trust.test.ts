import { expect, it } from 'vitest';
import { registerMap } from '../../emulator/registers';
import { type TraceEvent, type TraceHeader } from '../trace';
import { notSeen, TraceCards } from '.';
import { at, describing } from '../../test/support/traces';

const header: TraceHeader = {
  ...{ format: 'ghostcard-trace', version: 1, writer: '0.1.0', startedAt: '2026-01-01T00:00:00.000Z' },
  ...{ payloads: 'full', lostEvents: 0 },
};
const window = { region: 2, offset: 0, sizeBytes: 0x1000 };
const cardWith = (...windows: { isSeen: boolean }[]): TraceCards => {
  const description = describing('dut', registerMap({ A: { offset: 0, access: 'rw' } }));
  const card: TraceEvent = {
    ...{ ...at(0), kind: 'card' },
    description: { ...description, windows: windows.map((one) => ({ ...window, ...one })) },
  };
  return TraceCards.of([card]);
};

it('of a whole recording there is nothing to say', () => {
  expect(notSeen(header, cardWith({ isSeen: true }), true)).toEqual([]);
  expect(notSeen(header, cardWith(), undefined)).toEqual([]);
});

it('mapped windows, lost events, missing payloads and a missing end are told', () => {
  expect(notSeen({ ...header, payloads: 'hash', lostEvents: 7 }, cardWith({ isSeen: false }), false)).toEqual([
    'the first 7 events are not there any more: the recording kept the last ones',
    'accesses of BAR2 + 0x0 to 0xfff of dut are not in it: the guest maps it (--trace-windows)',
    'the bytes of DMA are not in it, only their hashes',
    'it has no end: the run was killed, or is still going on',
  ]);
});
