import { appendFileSync, mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ChannelDriver } from '../../test/support/reference-driver';
import { REFERENCE_REGISTERS, ReferenceCard } from '../../emulator/cards/reference';
import { ManualClock } from '../../emulator/clock';
import { InProcessHost } from '../../emulator/host';
import {
  type DmaEvent,
  type RecorderOptions,
  readTrace,
  type TraceEvent,
  TraceReader,
  TraceRecorder,
  traceOf,
} from '.';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ghostcard-trace-'));
  path = join(folder, 'run.trace');
});
afterEach(() => rmSync(folder, { recursive: true }));

/** A driver that moves 64 bytes and is interrupted. */
function recordTransfer(options: RecorderOptions = {}) {
  const clock = new ManualClock();
  const card = new ReferenceCard({ clock });
  const recorder = new TraceRecorder(path, options);
  traceOf(card).record(recorder, { name: 'reference' });
  const host = new InProcessHost(card);
  host.useInterrupts('msix', 8);
  host.registers(0, REFERENCE_REGISTERS).write('IRQ_ENABLE', 1);
  clock.advance(1000);
  const h2c = new ChannelDriver(host, 'H2C');
  h2c.submit({ hostAddress: host.memory.allocate(64).iova, lengthBytes: 64, interrupt: true });
  clock.advance(1000);
  return { recorder, card, host };
}

const kindsOf = (events: readonly TraceEvent[]): string[] => events.map(({ kind }) => kind);

describe('a recording', () => {
  it('tells everything from the doorbell to the interrupt, causes before effects', () => {
    const { recorder, card } = recordTransfer();
    recorder.mark('done');
    recorder.close();
    card.close();
    const { header, events, isEnded } = readTrace(path);
    expect(header).toMatchObject({ format: 'ghostcard-trace', version: 1, payloads: 'full', lostEvents: 0 });
    expect(isEnded).toBe(true);
    const task = events.findIndex(({ kind }) => kind === 'task');
    const story = events.slice(task).map((event) => ('channel' in event ? `${event.kind} ${event.role}` : event.kind));
    expect(story).toEqual([
      ...['task', 'state', 'dma-read descriptor', 'dma-read data'],
      ...['dma-write descriptor', 'dma-write descriptor', 'dma-write descriptor'],
      ...['dma-write write-back', 'dma-write write-back', 'dma-write write-back'],
      ...['interrupt', 'interrupt', 'state', 'mark', 'end'],
    ]);
    expect(events[task]!.timeNs).toBe(1000);
    expect(events[task - 1]).toMatchObject({ kind: 'write', region: 0, timeNs: 1000, data: Uint8Array.of(1, 0, 0, 0) });
  });

  it('explains itself: it holds the registers with their fields', () => {
    const { recorder } = recordTransfer();
    recorder.flush();
    const card = readTrace(path).events.find((event) => event.kind === 'card')!;
    expect(card.description).toMatchObject({ name: 'reference', model: 'ReferenceCard', vendorId: 0x1234 });
    const bar0 = card.description.registers.find(({ region }) => region === 0)!;
    expect(bar0.registers).toEqual(REFERENCE_REGISTERS.registers);
    const [memory, platformTable] = card.description.memory;
    expect(memory).toEqual({ region: 2, offset: 0, sizeBytes: 16 << 20 });
    expect(platformTable).toMatchObject({ region: 4, offset: 0x2000 });
  });

  it.each(['full', 'hash', 'none'] as const)('keeps DMA payloads: %s', (payloads) => {
    const { recorder } = recordTransfer({ payloads });
    recorder.flush();
    const data = readTrace(path).events.find(
      (event): event is DmaEvent => event.kind === 'dma-read' && event.role === 'data',
    )!;
    expect(data.sizeBytes).toBe(64);
    expect(data.data?.length).toBe(payloads === 'full' ? 64 : undefined);
    expect(data.hash).toBe(payloads === 'hash' ? 'f5a5fd42d16a2030' : undefined);
  });

  it('that was cut off anywhere reads up to there', () => {
    const { recorder } = recordTransfer();
    recorder.flush();
    const { events } = readTrace(path);
    recorder.mark('the last');
    recorder.flush();
    recorder.close();
    const whole = readTrace(path).events.length;
    expect(whole).toBe(events.length + 2);
    for (let cut = 1; cut < 30; cut++) {
      const { size } = statSync(path);
      truncateSync(path, size - 1);
      expect(readTrace(path).isEnded).toBe(false);
    }
    expect(kindsOf(readTrace(path).events)).toEqual(kindsOf(events));
  });

  it('can be read on while it grows', () => {
    const { recorder } = recordTransfer();
    recorder.flush();
    using reader = new TraceReader(path);
    expect([...reader.events()].length).toBeGreaterThan(10);
    expect([...reader.events()]).toEqual([]);
    recorder.mark('more');
    recorder.flush();
    expect(kindsOf([...reader.events()])).toEqual(['mark']);
  });

  it('has the offset of an access of a BAR beyond 4 GiB', () => {
    const { recorder } = recordTransfer();
    const offset = 2 ** 32 + 8;
    recorder.record({ kind: 'write', card: 1, timeNs: 1, region: 2, offset, data: Uint8Array.of(1, 2, 3, 4) });
    recorder.close();
    expect(readTrace(path).events.at(-2)).toMatchObject({ offset, data: Uint8Array.of(1, 2, 3, 4) });
  });

  it.each([
    ['zeros', 0, 'an event or a block of events should be here, not 00000000; 1000 bytes are skipped'],
    ['what MessagePack does not know', 0xc1, 'an event or a block of events should be here, not c1c1c1c1; 1000 bytes'],
  ])('that is damaged (%s) is read on behind it, and says so', (_, byte, problem) => {
    const { recorder } = recordTransfer();
    recorder.flush();
    const { events } = readTrace(path);
    appendFileSync(path, Buffer.alloc(1000, byte));
    recorder.close();
    const { events: read, damage, isEnded } = readTrace(path);
    const said = expect.stringContaining(`event ${events.length + 1}, at byte`) as string;
    expect(damage).toEqual([said]);
    expect(damage![0]).toContain(problem);
    expect(read).toEqual([
      ...events,
      expect.objectContaining({ kind: 'notice', text: `the recording is damaged here: ${damage![0]}` }),
      expect.objectContaining({ kind: 'end' }),
    ]);
    expect(isEnded).toBe(true);
  });

  it('of another kind or version is refused with what to do', () => {
    writeFileSync(path, 'no trace');
    expect(() => readTrace(path)).toThrow(`${path} is not a ghostcard trace`);
    writeFileSync(path, '');
    expect(() => readTrace(path)).toThrow(`${path} is not a ghostcard trace`);
  });
});
