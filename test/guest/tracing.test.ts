/** Recordings of real guests: their contents and order, and what is left of one whose run was killed. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { REFERENCE_REGISTERS } from '../../emulator/cards/reference';
import { type DmaEvent, readTrace, type TraceEvent } from '../../instrumentation/trace';

const cli = join(__dirname, '..', '..', 'cli', 'ghostcard.js');
const SCRATCH = REFERENCE_REGISTERS.registers.find(({ path }) => path === 'SCRATCH')!.offset;
/** Writes to SCRATCH, each with a mark after it. */
const WRITE_AND_MARK = 'for i in $(seq $1 $2); do gc-reg SCRATCH=$i >/dev/null; gc-mark wrote $i; done';

let folder: string;
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'gc-tracing-'))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const run = (...args: string[]) =>
  execa(process.execPath, [cli, 'run', ...args], { reject: false, timeout: 90_000, env: { TMPDIR: folder } });

/** Marks of the guest and writes to SCRATCH, in order. */
const storyOf = (events: readonly TraceEvent[]): string[] =>
  events.flatMap((event) => {
    if (event.kind === 'mark' && event.from === 'guest') return [event.text];
    const isScratch = event.kind === 'write' && event.region === 0 && event.offset === SCRATCH;
    return isScratch ? [`SCRATCH ${Buffer.from(event.data).readUInt32LE()}`] : [];
  });

const expectedStory = (first: number, last: number): string[] =>
  Array.from({ length: last - first + 1 }, (_, i) => [`SCRATCH ${first + i}`, `wrote ${first + i}`]).flat();

describe('the trace of a run', () => {
  it('has marks after all earlier writes, and before all later ones', async () => {
    const path = join(folder, 'marks.trace');
    const options = ['--card', 'reference', '--driver', 'vfio-pci', '--trace', path];
    const { exitCode, stderr } = await run(...options, '--', 'sh', '-c', WRITE_AND_MARK, 'sh', '1', '5');
    expect(stderr).toMatch(/ghostcard: the trace is in .*marks\.trace: \d+ events\n/);
    expect(stderr).toMatch(/ghostcard: reference: \d+ of \d+ registers were used; never: /);
    expect(exitCode).toBe(0);
    const { events, isEnded } = readTrace(path);
    expect(isEnded).toBe(true);
    expect(storyOf(events)).toEqual(expectedStory(1, 5));
    const commands = events.flatMap((event) => (event.kind === 'mark' && event.from === 'command' ? event.text : []));
    const command = `sh -c ${WRITE_AND_MARK} sh 1 5`;
    expect(commands).toEqual([`${command}: begins`, `${command}: ended with exit code 0`]); // none of ghostcard itself
    const others = events.filter(({ kind }) => !['read', 'write', 'mark'].includes(kind)).map(({ kind }) => kind);
    expect(new Set(others)).toEqual(
      new Set(['card', 'connected', 'map', 'unmap', 'irq-setup', 'reset', 'state', 'disconnected', 'end']),
    );
  });

  it('has DMA from the doorbell to the interrupt in the guest', async () => {
    const path = join(folder, 'dma.trace');
    const options = ['--card', 'reference', '--driver', 'vfio-pci', '--trace', path, '--trace-payloads', 'hash'];
    const { exitCode } = await run(...options, '--', 'gc-loopback', '--max-size', '4096');
    expect(exitCode).toBe(0);
    const { events } = readTrace(path);
    const dma = events.filter((event): event is DmaEvent => 'channel' in event);
    expect(new Set(dma.map(({ channel, role, kind }) => `${channel} ${kind} ${role}`))).toEqual(
      new Set(
        ['H2C0', 'H2C1', 'C2H0', 'C2H1'].flatMap((channel) => [
          `${channel} dma-read descriptor`,
          `${channel} ${channel.startsWith('H2C') ? 'dma-read' : 'dma-write'} data`,
          `${channel} dma-write descriptor`,
          `${channel} dma-write write-back`,
        ]),
      ),
    );
    expect(dma.every(({ data, hash, error }) => data === undefined && error === undefined && hash !== undefined)).toBe(
      true,
    );
    const sent = events.filter((event) => event.kind === 'interrupt' && event.phase === 'sent');
    expect(sent.length).toBeGreaterThan(0);
  });

  it('of two cards is one', async () => {
    const path = join(folder, 'two.trace');
    const cards = ['--card', 'reference', '--card', 'reference', '--driver', 'vfio-pci', '--driver', 'uio_pci_generic'];
    const { exitCode } = await run(...cards, '--trace', path, '--', 'gc-reg', 'SCRATCH=1');
    expect(exitCode).toBe(0);
    const { events } = readTrace(path);
    const names = events.flatMap((event) => (event.kind === 'card' ? [[event.card, event.description.name]] : []));
    expect(names).toEqual([
      [1, 'reference'],
      [2, 'reference-2'],
    ]);
    expect(storyOf(events)).toEqual(['SCRATCH 1']);
  });
});

describe.each([
  ['whole', []],
  ['in a ring', ['--trace-ring', '1']],
])('the trace of a run that is killed (%s)', (_, ring) => {
  it('can be read, up to the last events', async () => {
    const path = join(folder, `killed-${ring.length}.trace`);
    const options = ['--card', 'reference', '--driver', 'vfio-pci', '--trace', path, ...ring];
    const command = ['--', 'sh', '-c', WRITE_AND_MARK, 'sh', '1', '100000'];
    const child = spawn(process.execPath, [cli, 'run', ...options, ...command], {
      stdio: 'ignore',
      env: { ...process.env, TMPDIR: folder },
    });
    const killed = once(child, 'exit');
    try {
      const marksNow = () => (existsSync(path) ? storyOf(readTrace(path).events).length : 0);
      await expect.poll(marksNow, { timeout: 60_000 }).toBeGreaterThan(20);
    } finally {
      child.kill('SIGKILL');
    }
    expect(await killed).toEqual([null, 'SIGKILL']);
    const { events, isEnded } = readTrace(path);
    expect(isEnded).toBe(false);
    const story = storyOf(events);
    expect(story.length).toBeGreaterThan(20);
    expect(story).toEqual(expectedStory(1, 100).slice(0, story.length));
  });
});
