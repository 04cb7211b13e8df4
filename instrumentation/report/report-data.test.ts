import { describe, expect, it } from 'vitest';
import { type CardDescription, type Trace, type TraceEvent } from '../trace';
import { packReport } from './export-html';
import { inflateRawSync } from 'node:zlib';
import { INKS, unpackReport } from './page/report';
import { reportData } from './report-data';

const description: CardDescription = {
  ...{
    name: 'toy',
    model: 'Toy',
    vendorId: 0x1234,
    deviceId: 0x5678,
    windows: [],
    memory: [],
    vectors: [1, 0, 0],
    faults: [],
  },
  regions: [{ sizeBytes: 4096 }],
  registers: [{ name: '', region: 0, offset: 0, registers: [registerAt('LOW', 0), registerAt('HIGH', 4)] }],
};

function registerAt(name: string, offset: number) {
  return { name, path: name, offset, width: 32 as const, access: 'rw' as const, reset: 0n, doc: '', fields: [] };
}

const header = {
  format: 'ghostcard-trace',
  version: 1,
  writer: '0',
  startedAt: 'today',
  payloads: 'full',
  lostEvents: 0,
} as const;
const traceOf = (events: readonly TraceEvent[]): Trace => ({ header, events, isEnded: true });
const at = (timeNs: number, card = 1, hostNs = timeNs) => ({ card, timeNs, hostNs });
const card = (timeNs: number, id = 1, hostNs = timeNs): TraceEvent => ({
  kind: 'card',
  description,
  ...at(timeNs, id, hostNs),
});
const access = (kind: 'read' | 'write', timeNs: number, size = 4, offset = 0): TraceEvent => ({
  ...{ kind, region: 0, offset, data: new Uint8Array(size), ...at(timeNs) },
});
const state = (timeNs: number): TraceEvent => ({ kind: 'state', part: 'engine', state: 'running', ...at(timeNs) });
const dma = (timeNs: number, data: Uint8Array): TraceEvent => ({
  ...{ kind: 'dma-write', channel: 'A', role: 'data', iova: 0x1000, sizeBytes: data.length, data, ...at(timeNs) },
});

describe('the data of a report', () => {
  it('comes out of the page as it was put in', () => {
    const trace = traceOf([card(0), access('write', 5), dma(7, Uint8Array.of(1, 2, 3)), access('read', 2 ** 40)]);
    const { head, columns } = reportData(trace);
    const unpacked = unpackReport(new Uint8Array(inflateRawSync(Buffer.from(packReport(head, columns), 'base64'))));
    expect(unpacked.columns).toEqual(columns);
    expect(unpacked.head).toMatchObject(head);
    expect([...unpacked.columns.deviceNs]).toEqual([0, 5, 7, 2 ** 40]);
  });

  it('ties effects to their cause: a write or a task before them, or a read after them', () => {
    const events = [card(0), access('write', 5), state(5), state(8), access('read', 8), state(9)];
    const task: TraceEvent = { kind: 'task', ...at(12) };
    const { columns } = reportData(traceOf([...events, task, dma(12, Uint8Array.of(1)), state(12)]));
    expect([...columns.cause]).toEqual([-1, -1, 1, 4, -1, -1, -1, 6, 6]);
  });

  it('ties DMA to its doorbell and to who wrote what was read, and a race to its DMA and the register write before', () => {
    const read: TraceEvent = { ...dma(6, new Uint8Array(16)), kind: 'dma-read' } as TraceEvent;
    const place = { kind: 'place', ...at(0, 0), pid: 71, process: 'driver' } as const;
    const { head, columns } = reportData(
      traceOf([
        card(0),
        { ...place, place: 1, address: '0x1', name: 'driver.c:5 put' },
        { ...place, place: 2, address: 'DMA of toy, A (data)' },
        access('write', 5),
        { ...read, timeNs: 5 } as TraceEvent,
        read,
        {
          ...({ kind: 'written', ...at(6) } as const),
          pieces: [
            { offset: 0, end: 8, sizeBytes: 8, place: 1 },
            { offset: 8, end: 16, sizeBytes: 8, place: 2 },
          ],
        },
        access('write', 7),
        {
          ...({ kind: 'notice', text: 'a race', ...at(9) } as const),
          dma: { kind: 'dma-read', timeNs: 6, iova: 0x1000, sizeBytes: 16 },
        },
      ]),
    );
    expect(head.written[columns.written[3]!]).toEqual([
      { text: '8 bytes at 0x1000, written by driver.c:5 put (driver, process 71)' },
      { text: '8 bytes at 0x1008, written by DMA of toy, A (data) (driver, process 71)', dma: [0x1008, 0x1010] },
    ]);
    expect([...columns.doorbell]).toEqual([-1, -1, 1, 1, -1, -1]);
    expect([...columns.abouts]).toEqual([5, 3, 5, 1]);
  });

  it('ties effects to their cause across stale bytes, and to DMA that completes by message', () => {
    const stale: TraceEvent = { kind: 'stale', sizeBytes: 4, ...at(5) };
    const completion: TraceEvent = { ...dma(9, Uint8Array.of(1)), isAsync: true } as TraceEvent;
    const { columns } = reportData(traceOf([card(0), access('write', 5), stale, state(5), completion, state(9)]));
    expect([...columns.cause]).toEqual([-1, -1, 1, 1, -1, 4]);
  });

  it('knows every register that an access touches', () => {
    const { columns } = reportData(
      traceOf([card(0), access('read', 1, 8), access('read', 2, 4, 4), access('read', 3, 4, 8)]),
    );
    expect([...columns.touches]).toEqual([1, 0, 1, 1, 2, 1]);
    expect([...columns.register]).toEqual([-1, 0, 1, -1]);
  });

  it('has with an access who did it, by a name that comes later, and no events that say so', () => {
    const place = { kind: 'place', place: 1, pid: 71, process: 'driver', address: '0x1', ...at(0, 0) } as const;
    const origin: TraceEvent = { kind: 'origin', place: 1, ...at(5) };
    const named: TraceEvent = { ...place, name: 'driver.c:5 ring' };
    const config: TraceEvent = { kind: 'read', region: 7, offset: 0, data: new Uint8Array(2), ...at(5) };
    const { head, columns } = reportData(
      traceOf([card(0), access('write', 5), config, place, origin, access('write', 6), named]),
    );
    const origins = [...columns.origin].map((text) => head.strings[text]);
    expect(origins).toEqual(['', 'driver.c:5 ring (driver, process 71)', '', '']);
    expect(head.about).toContainEqual(['events', '4']);
  });

  it('has equal payloads once, and of payloads that are too much for a page what fits', () => {
    const large = Array.from({ length: 12 }, (_, i) => dma(i, new Uint8Array(1 << 20).fill(i)));
    const { head, columns } = reportData(
      traceOf([card(0), ...large, dma(20, Uint8Array.of(9)), dma(21, Uint8Array.of(9))]),
    );
    expect(columns.payloads.length).toBe(12 * (64 << 10) + 1);
    expect(columns.payload.at(-1)).toBe(columns.payload.at(-2));
    expect(head.about).toContainEqual(['DMA payloads', 'full; here, the first 65536 bytes of each']);
  });

  it('puts a card that comes later where it came, in real time and in a time that a test makes', () => {
    const marks: TraceEvent = { kind: 'mark', from: 'host', text: 'now', ...at(0, 0, 6001) };
    const later = [card(0, 2, 5000), marks, card(6000, 1, 6000)];
    expect([...reportData(traceOf([card(0), ...later])).columns.deviceNs]).toEqual([0, 5000, 5000, 6000]);
    const manual = [card(0), state(10), card(0, 2, 5e6), { ...state(20), hostNs: 6e6 }];
    expect([...reportData(traceOf(manual)).columns.deviceNs]).toEqual([0, 10, 10, 20]);
  });

  it('has the notices, and what is left to say of each card, with the event that it is about', () => {
    const halted: TraceEvent = { kind: 'state', part: 'engine', state: 'halted: BAD, descriptor 3', ...at(3) };
    const notice: TraceEvent = { kind: 'notice', text: 'the driver waits', ...at(4) };
    const refused = { ...dma(6, new Uint8Array()), error: 'unmapped' } as TraceEvent;
    const raised: TraceEvent = { kind: 'interrupt', phase: 'raised', index: 2, vector: 1, ...at(7) };
    const events = [card(0), halted, notice, halted, refused, raised, state(8)];
    const found = [
      { what: 'notice', text: 'the driver waits', event: 2 },
      { what: 'end', text: 'engine halted twice: BAD, descriptor 3', event: 3 },
      { what: 'end', text: 'DMA of A was refused once: unmapped, first at 0x1000', event: 4 },
      { what: 'end', text: 'engine is still running', event: 6 },
      { what: 'end', text: 'MSI-X vector 1 was raised and never taken, once', event: 5 },
    ];
    expect(reportData(traceOf(events)).head.found).toEqual(found);
    const named = found.map(({ text, ...rest }) => ({ ...rest, text: `toy: ${text}` }));
    const another = { ...description, name: 'other' };
    const two = [...events, { kind: 'card', description: another, ...at(9, 2) } as TraceEvent];
    expect(reportData(traceOf(two)).head.found).toEqual(named);
    expect(reportData(traceOf([card(0), state(1), { ...state(2), state: 'idle' } as TraceEvent])).head.found).toEqual(
      [],
    );
  });

  it('has lanes in the order in which a transfer is followed', () => {
    const vector = (index: number, number: number): TraceEvent => ({
      ...{ kind: 'interrupt', phase: 'raised', index, vector: number, ...at(3) },
    });
    const config: TraceEvent = { kind: 'read', region: 7, offset: 0, data: new Uint8Array(2), ...at(1) };
    const mark: TraceEvent = { kind: 'mark', from: 'guest', text: 'now', ...at(0, 0) };
    const { head, columns } = reportData(
      traceOf([card(0), config, vector(2, 10), vector(2, 9), access('read', 4), mark]),
    );
    const labels = ['marks', 'BAR0', 'MSI-X vector 9', 'MSI-X vector 10', 'config', 'host'];
    expect(head.lanes.map(({ label }) => label)).toEqual(labels);
    expect([...columns.lane].map((lane) => labels[lane])).toEqual([
      'host',
      'config',
      labels[3],
      labels[2],
      'BAR0',
      'marks',
    ]);
    expect([...columns.ink].map((ink) => INKS[ink])).toEqual(['client', 'read', 'raised', 'raised', 'read', 'mark']);
  });
});
