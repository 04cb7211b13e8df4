import { describe, expect, it } from 'vitest';
import { registerMap } from '../../emulator/registers';
import { type TraceEvent, type TraceHeader, wordDuration } from '../trace';
import { describeTraceEvent, notSeen, TraceCards, wordEvent } from '.';
import { at, describing } from '../../test/support/traces';

const MAP = registerMap({
  CONTROL: { offset: 0, access: 'rw', fields: { START: [0], MODE: { bits: [3, 2], values: { FAST: 2 } } } },
  BASE: { offset: 8, width: 64, access: 'rw' },
});

const stamp = { card: 1, timeNs: 1500, hostNs: 0 };
const card: TraceEvent = { ...stamp, kind: 'card', description: describing('dut', MAP) };
const cards = TraceCards.of([card]);
/** What is said of an event, without its time. */
const say = (event: object): string =>
  describeTraceEvent({ ...stamp, ...event } as TraceEvent, cards).replace('         1.500 us  ', '');

describe('an event in words', () => {
  it.each([
    ['a card', { kind: 'card', description: describing('dut', MAP) }, 'card dut (TestCard, 1234:00ab)'],
    [
      'a register with its fields, values by name',
      { kind: 'write', region: 0, offset: 0, data: Uint8Array.of(9, 0, 0, 0) },
      'write CONTROL 0x00000009 (START=1, MODE=FAST)',
    ],
    [
      'a part of a register',
      { kind: 'read', region: 0, offset: 12, data: Uint8Array.of(1, 2, 0, 0) },
      'read BASE + 4 0x00000201 (4 bytes)',
    ],
    [
      'an address where no register is',
      { kind: 'read', region: 0, offset: 0x40, data: Uint8Array.of(0xff) },
      'read BAR0 + 0x40 0xff (1 byte)',
    ],
    [
      'DMA with who, what for and the bytes',
      {
        kind: 'dma-read',
        channel: 'H2C0',
        role: 'descriptor',
        iova: 0x1000,
        sizeBytes: 3,
        data: Uint8Array.of(1, 2, 255),
      },
      'DMA reads 3 bytes at 0x1000 (H2C0, descriptor): 01 02 ff',
    ],
    [
      'DMA by hash',
      { kind: 'dma-write', channel: '', role: 'other', iova: 0x1000, sizeBytes: 1, hash: 'f5a5fd42d16a2030' },
      'DMA writes 1 byte at 0x1000 SHA-256 f5a5fd42d16a2030…',
    ],
    [
      'DMA that failed, and by message',
      { kind: 'dma-write', channel: 'A', role: 'data', iova: 0, sizeBytes: 9, error: 'unmapped', isAsync: true },
      'DMA writes 9 bytes at 0x0 (A, data, by message): failed, unmapped',
    ],
    [
      'long payloads by their beginning',
      { kind: 'dma-write', channel: '', role: 'other', iova: 0, sizeBytes: 64, data: new Uint8Array(64) },
      `DMA writes 64 bytes at 0x0 ${'00 '.repeat(32)}…`,
    ],
    ['the whole of memory', { kind: 'unmap', iova: 0, sizeBytes: 2 ** 64 }, 'client unmaps all memory'],
    [
      'a mapping',
      { kind: 'map', iova: 0x2000, sizeBytes: 4096, readable: true, writable: false },
      'client maps 4096 bytes at 0x2000 (readable)',
    ],
    ['its end', { kind: 'unmap', iova: 0x2000, sizeBytes: 4096 }, 'client unmaps 4096 bytes at 0x2000'],
    ['an interrupt', { kind: 'interrupt', phase: 'raised', index: 2, vector: 3 }, 'interrupt raised MSI-X vector 3'],
    [
      'an interrupt that cannot go out',
      { kind: 'interrupt', phase: 'held', index: 0, vector: 0, reason: 'masked' },
      'interrupt held INTx (masked)',
    ],
    [
      'vectors that are connected',
      { kind: 'irq-setup', index: 2, start: 0, count: 3, action: 'sinks', vectors: [true, true, true] },
      'client connects MSI-X vectors 0 to 2',
    ],
    [
      'some connected, some not',
      { kind: 'irq-setup', index: 2, start: 1, count: 3, action: 'sinks', vectors: [true, false, true] },
      'client connects MSI-X vectors 1, 3 (disconnects vector 2)',
    ],
    [
      'all disconnected',
      { kind: 'irq-setup', index: 1, start: 0, count: 0, action: 'trigger' },
      'client disconnects MSI',
    ],
    ['a mask', { kind: 'irq-setup', index: 0, start: 0, count: 1, action: 'mask' }, 'client masks INTx'],
    ['a reset by the driver', { kind: 'reset', reset: 'flr' }, 'function-level reset'],
    ['a reset by the client', { kind: 'reset', reset: 'device' }, 'device reset'],
    ['a reset by the loss of power', { kind: 'reset', reset: 'power' }, 'power-on reset'],
    [
      'a read of what the driver has not synchronised',
      { kind: 'stale', sizeBytes: 12 },
      'stale 12 of these bytes (memory differs: not synchronised)',
    ],
    ['a stimulus inside a reaction', { kind: 'nested' }, 'inside this reaction'],
    ['a state', { kind: 'state', part: 'H2C0', state: 'running' }, 'state H2C0 running'],
    ['a scheduled task', { kind: 'task' }, 'scheduled work'],
    ['the loss of the link', { kind: 'link-down' }, 'link down'],
    ['a client', { kind: 'connected' }, 'client connected'],
    ['a fault', { kind: 'fault', fault: 'lost', what: 'dropped MSI-X vector 0' }, 'fault lost dropped MSI-X vector 0'],
    ['a mark', { kind: 'mark', from: 'guest', text: 'here' }, 'guest mark here'],
    ['a notice', { kind: 'notice', text: 'polls STATUS' }, 'notice polls STATUS'],
    ['the end', { kind: 'end' }, 'end of the recording'],
  ])('%s', (_, event, line) => {
    expect(say(event)).toBe(line);
  });

  it('begins with device time', () => {
    expect(describeTraceEvent({ ...stamp, kind: 'task' }, cards)).toBe('         1.500 us  scheduled work');
  });

  it('leaves the time blank of what belongs to no card', () => {
    const mark: TraceEvent = { card: 0, timeNs: 0, hostNs: 5, kind: 'mark', from: 'host', text: 'here' };
    expect(describeTraceEvent(mark, cards)).toBe('                   host mark here');
  });

  it('comes in parts', () => {
    const event = { ...stamp, kind: 'write', region: 0, offset: 0, data: Uint8Array.of(1, 0, 0, 0) } as const;
    expect(wordEvent(event, cards)).toEqual({ what: 'write', subject: 'CONTROL', detail: '0x00000001 (START=1)' });
  });

  it('names the card where there are several, by number too when they have one name', () => {
    const two = TraceCards.of([card, { ...card, card: 2, description: describing('other', MAP) } as TraceEvent]);
    expect(describeTraceEvent({ ...stamp, kind: 'task' }, two)).toContain('us  dut: scheduled work');
    const same = TraceCards.of([card, { ...card, card: 2 } as TraceEvent]);
    expect(describeTraceEvent({ ...stamp, kind: 'task' }, same)).toContain('us  dut (card 1): scheduled work');
  });

  it('gives offsets for a card that the trace does not describe', () => {
    const event = { ...stamp, card: 9, kind: 'read', region: 0, offset: 0, data: Uint8Array.of(0) } as const;
    expect(describeTraceEvent(event, cards)).toContain('read BAR0 + 0x0 0x00 (1 byte)');
  });
});

it.each([
  [40, '40 ns'],
  [1500, '1.5 us'],
  [250_000_000, '250 ms'],
  [2e9, '2 s'],
])('a length of time in words: %d ns', (ns, text) => {
  expect(wordDuration(ns)).toBe(text);
});

describe('what a recording does not show', () => {
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

  it('is nothing when the recording is whole', () => {
    expect(notSeen(header, cardWith({ isSeen: true }), true)).toEqual([]);
    expect(notSeen(header, cardWith(), undefined)).toEqual([]);
  });

  it('is said of mapped windows, lost events, missing payloads and a missing end', () => {
    expect(notSeen({ ...header, payloads: 'hash', lostEvents: 7 }, cardWith({ isSeen: false }), false)).toEqual([
      'the first 7 events are lost: the recording kept only the last ones',
      'accesses of BAR2 + 0x0 to 0xfff of dut are not in it: the guest maps it (--trace-disable-mmap)',
      'the bytes of DMA are not in it, only their hashes',
      'it has no end: the run was killed, or is still going on',
    ]);
  });
});
