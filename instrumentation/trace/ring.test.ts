import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ReferenceCard } from '../../emulator/cards/reference';
import { ManualClock } from '../../emulator/clock';
import { readTrace, type TraceEvent, TraceReader, TraceRecorder, traceOf } from '.';

const RING_BYTES = 128 << 10;
/** What is written at once is written whole. */
const BLOCK_BYTES = 40 << 10;

let path: string;
let recorder: TraceRecorder;
let said: string[];
beforeEach(() => {
  path = join(mkdtempSync(join(tmpdir(), 'ghostcard-ring-')), 'run.trace');
  said = [];
  recorder = new TraceRecorder(path, { ringBytes: RING_BYTES, onFailure: (message) => said.push(message) });
});
afterEach(() => {
  recorder.close();
  rmSync(dirname(path), { recursive: true, force: true });
});

let card: ReferenceCard;
function recordCard(): void {
  card = new ReferenceCard({ clock: new ManualClock() });
  traceOf(card).record(recorder, { name: 'reference' });
}

/** Events that can be told apart: writes of rising values. */
let written = 0;
function write(count: number): void {
  for (let i = 0; i < count; i++) {
    const data = new Uint8Array(4);
    new DataView(data.buffer).setUint32(0, written++, true);
    recorder.record({ kind: 'write', card: 1, timeNs: written, region: 0, offset: 12, data });
  }
}
beforeEach(() => {
  written = 0;
});

const valuesOf = (events: readonly TraceEvent[]): number[] =>
  events.flatMap((event) => (event.kind === 'write' ? Buffer.from(event.data).readUInt32LE() : []));
/** The last values that were written, as many as are there. */
const tail = (length: number): number[] => Array.from({ length }, (_, i) => written - length + i);
const diskBytes = (): number =>
  readdirSync(dirname(path)).reduce((sum, name) => sum + statSync(join(dirname(path), name)).size, 0);

/** Whole up to the last write, with the card, and accounted for. */
function expectTail(trace = readTrace(path)): void {
  const values = valuesOf(trace.events);
  expect(values).toEqual(tail(values.length));
  expect(trace.events[0]).toMatchObject({ kind: 'card', card: 1 });
  expect(trace.header.lostEvents + trace.events.length).toBe(recorder.events);
}

describe('a recording in a ring', () => {
  it('keeps the end of what happens, in bounded space, and can be read at any moment', () => {
    recordCard();
    let largest = 0;
    for (let i = 0; i < 60; i++) {
      write(500);
      recorder.flush();
      largest = Math.max(largest, diskBytes());
      expectTail();
    }
    expect(largest).toBeGreaterThan(RING_BYTES / 2);
    expect(largest).toBeLessThanOrEqual(RING_BYTES + BLOCK_BYTES);
    expect(readTrace(path).header.lostEvents).toBeGreaterThan(10_000);
  });

  it('is one file when it has ended', () => {
    recordCard();
    write(20_000);
    recorder.close();
    expect(readdirSync(dirname(path))).toEqual(['run.trace']);
    const trace = readTrace(path);
    expectTail(trace);
    expect(trace.isEnded).toBe(true);
    expect(statSync(path).size).toBeGreaterThan(RING_BYTES / 2);
  });

  it('has payloads that are too large for it by their hashes, and stays within its bounds', () => {
    recordCard();
    const write = (sizeBytes: number) =>
      traceOf(card).add({
        ...({ kind: 'dma-write', channel: 'A', role: 'data', iova: 0x1000 } as const),
        ...{ sizeBytes, data: new Uint8Array(sizeBytes) },
      });
    for (let i = 0; i < 10; i++) {
      write(RING_BYTES / 4);
      write(RING_BYTES / 4 + 1);
      expect(diskBytes()).toBeLessThanOrEqual(RING_BYTES + BLOCK_BYTES);
    }
    recorder.flush();
    const [kept, hashed] = readTrace(path).events.slice(-2);
    expect(kept).toMatchObject({ kind: 'dma-write', sizeBytes: RING_BYTES / 4, data: { length: RING_BYTES / 4 } });
    expect(hashed).toMatchObject({
      kind: 'dma-write',
      sizeBytes: RING_BYTES / 4 + 1,
      hash: expect.any(String) as string,
    });
    expect(hashed).not.toHaveProperty('data');
    expect(readTrace(path).header.largestPayloadBytes).toBe(RING_BYTES / 4);
  });

  it('that is smaller than the ring is whole', () => {
    recordCard();
    write(100);
    recorder.close();
    expect(readTrace(path).header.lostEvents).toBe(0);
    expect(valuesOf(readTrace(path).events)).toEqual(tail(100));
  });

  it('can be read when it was killed between two steps', () => {
    recordCard();
    while (!existsSync(`${path}.earlier`)) write(1000);
    write(100);
    recorder.flush();
    const { events } = readTrace(path);
    // While the parts were being joined: some of the later one is in the earlier one already, cut off anywhere.
    const later = readFileSync(path);
    const start = later.indexOf(Buffer.of(0x98, 2, 1)) - 5; // the block of the first write, behind header and card
    expect(later[start]).toBe(0xdd);
    for (const end of [start + 100, (start + later.length) >> 1, later.length - 1, later.length]) {
      const before = readFileSync(`${path}.earlier`);
      appendFileSync(`${path}.earlier`, later.subarray(start, end));
      expect(valuesOf(readTrace(path).events)).toEqual(valuesOf(events));
      rmSync(`${path}.earlier`);
      appendFileSync(`${path}.earlier`, before);
    }
    // While the parts were being renamed.
    renameSync(path, `${path}.next`);
    const only = readTrace(path);
    expect(valuesOf(only.events)).toEqual(valuesOf(events).slice(0, valuesOf(only.events).length));
    expect(only.events.length).toBeGreaterThan(100);
    renameSync(`${path}.next`, path);
  });

  it('repeats the cards in each part, those plugged in meanwhile too', () => {
    recordCard();
    while (!existsSync(`${path}.earlier`)) write(1000);
    recordCard();
    recorder.flush();
    write(30_000);
    recorder.flush();
    const trace = readTrace(path);
    const cards = trace.events.filter(({ kind }) => kind === 'card').map((event) => event.card);
    expect(cards).toEqual([1, 2]);
    expectTail(trace);
  });

  it('can be followed while it goes round, without a gap or a repetition', () => {
    recordCard();
    recorder.flush();
    using reader = new TraceReader(path);
    const seen: TraceEvent[] = [];
    for (let i = 0; i < 50; i++) {
      write(700);
      recorder.flush();
      seen.push(...reader.events());
    }
    recorder.close();
    seen.push(...reader.events());
    expect(valuesOf(seen)).toEqual(tail(written));
    expect(seen.map(({ kind }) => kind).filter((kind) => kind !== 'write')).toEqual(['card', 'end']);
    expect(reader.missedEvents).toBe(0);
  });

  it('followed by somebody who is too slow, says how much was missed', () => {
    recordCard();
    recorder.flush();
    using reader = new TraceReader(path);
    write(100);
    recorder.flush();
    const seen = [...reader.events()];
    write(60_000);
    recorder.flush();
    seen.push(...reader.events());
    expect(valuesOf(seen).slice(0, 100)).toEqual(Array.from({ length: 100 }, (_, i) => i));
    expect(valuesOf(seen).at(-1)).toBe(written - 1);
    expect(reader.missedEvents).toBeGreaterThan(10_000);
    expect(reader.missedEvents + seen.length).toBe(recorder.events);
  });

  it('leaves nothing of an earlier recording of the same name', () => {
    recordCard();
    write(20_000);
    recorder.flush();
    // As if it had been killed here.
    const killed = `${path}.killed`;
    for (const end of ['', '.earlier']) copyFileSync(path + end, killed + end);
    using next = { recorder: new TraceRecorder(killed), [Symbol.dispose]: () => next.recorder.close() };
    expect(readTrace(killed).events).toEqual([]);
    expect(existsSync(`${killed}.earlier`)).toBe(false);
  });
});

it('that is to keep only the end needs a file of its own, and is refused another thing', () => {
  execFileSync('mkfifo', [`${path}.fifo`]);
  expect(() => new TraceRecorder(`${path}.fifo`)).toThrow(`${path}.fifo is a FIFO: a recording is written to a file`);
  expect(() => new TraceRecorder('/dev/null', { ringBytes: RING_BYTES })).toThrow('/dev/null is not a regular file');
});

describe('a recording that cannot be written any more', () => {
  it('ends, says so once, and disturbs nothing else', () => {
    recordCard();
    write(10);
    recorder.flush();
    const { events } = recorder;
    renameSync(dirname(path), `${dirname(path)}-moved`); // no new part can be begun there
    write(50_000);
    recorder.flush();
    recorder.mark('too late');
    recorder.close();
    expect(said).toHaveLength(1);
    expect(said[0]).toContain(`the trace ${path} cannot be written any more: ENOENT: no such file or directory`);
    renameSync(`${dirname(path)}-moved`, dirname(path));
    const { events: kept, isEnded } = readTrace(path);
    expect(kept.length).toBeGreaterThanOrEqual(events);
    expect(isEnded).toBe(false);
    expect(said[0]).toContain(`up to here (${kept.length} events)`);
  });
});
