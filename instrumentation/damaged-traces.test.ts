/**
 * Files that are damaged in one place or cut off: whatever the place is, all that reads recordings says what is wrong and
 * reads the rest. No input ends in an error of the program.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type CardEnvironment, PciCard } from '../emulator/pci';
import { registerMap } from '../emulator/registers';
import { at, describing } from '../test/support/traces';
import {
  coverageOf,
  describeTraceEvent,
  diffTraces,
  DmaCauses,
  EventSelector,
  eventToJson,
  exportPerfetto,
  exportVcd,
  notSeen,
  TraceCards,
  traceStats,
  wordWritten,
  writtenBytes,
} from './analysis';
import { drive, replay } from './replay';
import { reportData } from './report/report-data';
import {
  readTrace,
  type Trace,
  type TraceEvent,
  TraceFormatError,
  TraceReader,
  TraceRecorder,
  writeTrace,
} from './trace';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ghostcard-damaged-'));
  path = join(folder, 'run.trace');
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Each of some thousand files is read in every way. */
const SLOW_MS = 120_000;

const MAP = registerMap(
  {
    CONTROL: { offset: 0, access: 'rw', fields: { RUN: [0], MODE: { bits: [9, 8], values: { FAST: 2 } } } },
    DOORBELL: { offset: 4, access: 'rw' },
  },
  { sizeBytes: 4096 },
);

class SmallCard extends PciCard {
  readonly registers = this.registerBar(0, MAP);

  constructor(environment: CardEnvironment = {}) {
    super({ vendorId: 0x1234, deviceId: 0xab, classCode: 0x12_00_00, msix: { bar: 2, vectors: 8 } }, environment);
    this.registers.onWrite('DOORBELL', () => this.clock.after(10, () => {}));
  }
}

const { name, width, doc, fields } = MAP.registers[0]!;
const word = { name, width, doc, fields };
const DESCRIPTION = {
  ...describing('dut', MAP),
  regions: [{ sizeBytes: 4096 }],
  windows: [{ region: 2, offset: 0, sizeBytes: 64, isSeen: false }],
  memory: [{ region: 2, offset: 0, sizeBytes: 64 }],
  channels: [
    {
      name: 'A',
      doorbells: [
        { path: 'DOORBELL', region: 0, offset: 4, width: 32, msb: 31, lsb: 0, rings: 'changed' as const },
        { path: 'CONTROL.RUN', region: 0, offset: 0, width: 32, msb: 0, lsb: 0, rings: 1 },
      ],
      layouts: [
        {
          role: 'descriptor' as const,
          strideBytes: 12,
          words: [
            { ...word, offset: 0 },
            { ...word, offset: 4 },
          ],
        },
      ],
    },
  ],
};
const bytes = (sizeBytes: number) => ({ sizeBytes, data: Uint8Array.from({ length: sizeBytes }, (_, i) => i + 1) });
const EVENTS: readonly TraceEvent[] = [
  { kind: 'card', ...at(0), description: DESCRIPTION },
  { kind: 'connected', ...at(1) },
  { kind: 'map', ...at(2), iova: 0x1000, sizeBytes: 2 ** 33, readable: true, writable: false },
  { kind: 'irq-setup', ...at(3), index: 2, start: 0, count: 2, action: 'sinks', vectors: [true, false] },
  { kind: 'place', ...at(3, 0), place: 1, pid: 7, process: 'driver', address: '0x401234', name: 'driver.c:5 ring' },
  { kind: 'write', ...at(4), region: 0, offset: 4, data: Uint8Array.of(1, 0, 0, 0) },
  { kind: 'origin', ...at(4), place: 1 },
  { kind: 'task', ...at(14) },
  { kind: 'state', ...at(14), part: 'A', state: 'running' },
  { kind: 'dma-read', ...at(14), channel: 'A', role: 'descriptor', iova: 0x1000, ...bytes(24) },
  {
    ...({ kind: 'written', ...at(14) } as const),
    pieces: [
      { offset: 0, end: 8, sizeBytes: 8, place: 1 },
      { offset: 8, end: 24, sizeBytes: 12, place: 0 },
    ],
  },
  { kind: 'stale', ...at(14), sizeBytes: 3 },
  { kind: 'dma-write', ...at(15), channel: 'A', role: 'data', iova: 0x2000, sizeBytes: 4, error: 'unmapped' },
  { kind: 'dma-write', ...at(15), channel: '', role: 'other', iova: 0x3000, ...bytes(2) },
  { kind: 'interrupt', ...at(16), phase: 'raised', index: 2, vector: 1 },
  { kind: 'interrupt', ...at(16), phase: 'held', index: 2, vector: 1, reason: 'masked' },
  { kind: 'interrupt', ...at(16), phase: 'sent', index: 2, vector: 1 },
  { kind: 'nested', ...at(17) },
  { kind: 'read', ...at(18), region: 0, offset: 0, data: Uint8Array.of(1, 2, 0, 0) },
  { kind: 'read', ...at(19), region: 7, offset: 0, ...{ data: bytes(16).data } },
  { kind: 'fault', ...at(20), fault: 'late', what: 'held back' },
  { kind: 'mark', ...at(21, 0), from: 'guest', text: 'the ring is full' },
  { kind: 'notice', ...at(22), text: 'a race', dma: { kind: 'dma-read', timeNs: 14, iova: 0x1000, sizeBytes: 24 } },
  { kind: 'unmap', ...at(23), iova: 0x1000, sizeBytes: 4096 },
  { kind: 'reset', ...at(24), reset: 'device' },
  { kind: 'link-down', ...at(25) },
  { kind: 'disconnected', ...at(26) },
  { kind: 'end', ...at(27, 0) },
];

const HEADER = { format: 'ghostcard-trace', version: 1, writer: '0', startedAt: 'today', payloads: 'full' } as const;

/** Returns the bytes, and the trace. */
function recorded(): { file: Buffer; trace: Trace } {
  writeTrace(path, { header: { ...HEADER, lostEvents: 0 }, events: EVENTS });
  return { file: readFileSync(path), trace: readTrace(path) };
}

/** What is not said to the user as such, but is a mistake of the program. */
const isOfProgram = (error: unknown): boolean =>
  [TypeError, RangeError, ReferenceError, SyntaxError].some((type) => error instanceof type);

/** Reads it in every way. Undefined: it is no trace. */
async function readInEveryWay(good: Trace): Promise<Trace | undefined> {
  let trace: Trace;
  try {
    trace = readTrace(path);
  } catch (error) {
    if (!(error instanceof TraceFormatError)) throw error;
    expect(error.message).toContain(path);
    return undefined;
  }
  const cards = TraceCards.of(trace.events);
  const causes = new DmaCauses(cards);
  const selector = new EventSelector(
    { registers: ['*.RUN=1', 'DOORBELL'], channels: ['A'], fromNs: 3, card: 'dut' },
    cards,
  );
  for (const event of trace.events) {
    expect(describeTraceEvent(event, cards)).not.toMatch(/undefined|NaN/);
    JSON.stringify(eventToJson(event, cards));
    const cause = causes.take(event);
    if (cause) causes.word(cause);
    if (event.kind === 'written') wordWritten(writtenBytes(event, { iova: 8 }, cards), { sizeBytes: 24 });
    selector.selects(event);
  }
  notSeen(trace.header, cards, trace.isEnded);
  JSON.stringify([traceStats(trace), coverageOf(trace)]);
  diffTraces(good, trace);
  diffTraces(trace, good, { strict: true });
  exportVcd(trace);
  exportPerfetto(trace);
  reportData(trace);
  for (const repeat of [() => replay(trace, make), async () => drive(trace, make, { patienceNs: 10 })]) {
    try {
      await repeat();
    } catch (error) {
      if (isOfProgram(error)) throw error;
    }
  }
  return trace;
}

const make = (environment: CardEnvironment) => new SmallCard(environment);

/** As text, to be found again. */
const keyOf = (event: TraceEvent): string =>
  JSON.stringify(event, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value));

/** Events of a file that is not damaged that this one lacks. */
function lacking({ events }: Trace, good: Trace): TraceEvent[] {
  const read = new Set(events.map(keyOf));
  return good.events.filter((event) => !read.has(keyOf(event)));
}

/** A bit for each byte, always the same. */
const bitOf = (at: number): number => 1 << (Math.imul(at + 1, 0x9e37_79b1) >>> 29);

describe('a recording', () => {
  it('with one flipped bit is read but for an event or two, and says where', { timeout: SLOW_MS }, async () => {
    const { file, trace: good } = recorded();
    for (let at = 0; at < file.length; at++) {
      const damaged = Buffer.from(file);
      damaged[at]! ^= bitOf(at);
      writeFileSync(path, damaged);
      try {
        const read = await readInEveryWay(good);
        if (read === undefined)
          expect(at).toBeLessThan(file.indexOf(0xdd)); // in the header
        else expect(lacking(read, good).length).toBeLessThanOrEqual(2);
        if (read && lacking(read, good).length > 1) expect(read.damage).toBeDefined();
      } catch (error) {
        throw new Error(`bit ${bitOf(at)} of byte ${at} is flipped`, { cause: error });
      }
    }
  });

  it('that is cut off is read up to there, whatever the place is', { timeout: SLOW_MS }, async () => {
    const { file, trace: good } = recorded();
    let events = 0;
    for (let size = 0; size < file.length; size++) {
      writeFileSync(path, file.subarray(0, size));
      try {
        const read = await readInEveryWay(good);
        if (read === undefined) continue;
        expect(read.isEnded).toBe(false);
        expect(read.damage).toBeUndefined();
        expect(read.events).toEqual(good.events.slice(0, read.events.length));
        expect(read.events.length - events).toBeOneOf([0, 1]);
        events = read.events.length;
      } catch (error) {
        throw new Error(`it is cut off at byte ${size}`, { cause: error });
      }
    }
    expect(events).toBe(good.events.length - 1);
  });

  it('that grows byte by byte is read event by event, each once', () => {
    const { file, trace: good } = recorded();
    const header = file.indexOf(0xdd);
    writeFileSync(path, file.subarray(0, header));
    using reader = new TraceReader(path);
    const read: TraceEvent[] = [];
    for (let at = header; at < file.length; at++) {
      writeFileSync(path, file.subarray(at, at + 1), { flag: 'a' });
      read.push(...reader.events());
    }
    expect(read).toEqual(good.events);
    expect(reader).toMatchObject({ isEnded: true, damage: [] });
  });

  it.each([
    ['of zeros', Buffer.alloc(300_000)],
    ['of arrays in arrays', Buffer.alloc(300_000, 0x91)],
    ['of beginnings of long arrays', Buffer.from('9b03dc4000c0c0'.repeat(40_000), 'hex')],
    ['of a text of 4 GB', Buffer.from('961000cb3fe0000000000000a56775657374dbffffffff', 'hex')],
  ])('is read before and after bytes %s', (_, junk) => {
    const { file, trace: good } = recorded();
    const place = file.indexOf(0xdd);
    writeFileSync(path, Buffer.concat([file.subarray(0, place), junk, file.subarray(place)]));
    const read = readTrace(path);
    expect(lacking(read, good)).toEqual([]);
    expect(read.isEnded).toBe(true);
    expect(read.damage).toHaveLength(1);
    expect(read.damage![0]).toContain(`${junk.length} bytes are skipped`);
  });

  it('that goes on for megabytes behind a damaged size is read in no time', () => {
    using recorder = Object.assign(new TraceRecorder(path), { [Symbol.dispose]: () => {} });
    for (let i = 0; i < 200_000; i++) recorder.mark(`mark ${i}`);
    recorder.close();
    const file = readFileSync(path);
    const place = file.indexOf('mark 7') - 1;
    expect(file[place]).toBe(0xa6);
    file[place] = 0xdb; // a text of 32 bits of length: 1.8 GB
    writeFileSync(path, file);
    const { events, damage } = readTrace(path);
    expect(events).toHaveLength(200_001);
    expect(damage).toEqual([
      expect.stringMatching(/^event 8 \(mark\), at byte \d+: it goes on beyond the end of the file;/),
    ]);
  });
});
