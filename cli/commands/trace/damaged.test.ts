/** Recordings that are damaged, cut off, or no files: each command says so, and does its work with the rest. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, type MockInstance, vi } from 'vitest';
import { readTrace, writeTrace } from '../../../instrumentation/trace';
import { printed, record, useFolder } from '../../../test/support/trace-command';
import { replayCommand } from '../replay';

const folder = useFolder();
const REFERENCE = ['--card', 'reference'];
let said: MockInstance<typeof console.error>;
beforeEach(() => void (said = vi.spyOn(console, 'error').mockReturnValue()));
afterEach(() => {
  said.mockRestore();
  process.exitCode = 0;
});
const complaint = (): string => said.mock.calls.join('\n');

function recorded(): string {
  const file = join(folder.path, 'run.trace');
  record(file)[Symbol.dispose]();
  return file;
}

/** One character of the name of a field is another one: it is missing then. */
function damaged(): string {
  const file = recorded();
  const bytes = readFileSync(file);
  bytes[bytes.indexOf('vendorId')]! ^= 2;
  writeFileSync(file, bytes);
  return file;
}

/** Cut off within the event with this number; the last one is -1. */
function cutIn(event: number): string {
  const file = recorded();
  const trace = readTrace(file);
  writeTrace(file, { ...trace, events: trace.events.slice(0, event < 0 ? event : event + 1) });
  truncateSync(file, statSync(file).size - 3);
  return file;
}

const output = (name: string): string => join(folder.path, name);
const PLACE = /^ {2}event 1 \(card\), at byte \d+: description\.vendorId is missing, and should be a whole number/m;

describe('a damaged recording', () => {
  it.each([
    [['show'], 'end of the recording'],
    [['stats'], 'MSI-X vector 0       1     1'],
    [['coverage'], 'reference: 7 of 74 registers accessed'],
    [['show', '--json'], '"damage":["event 1 (card)'],
    [['stats', '--json'], '"damage": [\n    "event 1 (card)'],
    [['coverage', '--json'], '"damage": [\n    "event 1 (card)'],
  ])('is read by trace %j, which says where it is damaged, and fails', async ([command, ...options], text) => {
    const file = damaged();
    expect(await printed(command!, file, ...options)).toContain(text);
    expect(complaint()).toContain(`${file} is damaged in one place; everything else in it has been read:\n`);
    expect(complaint()).toMatch(PLACE);
    expect(process.exitCode).toBe(1);
  });

  it('is compared by trace diff, and said once where it is compared with itself', async () => {
    const file = damaged();
    expect(await printed('diff', file, file)).toContain('the runs are the same');
    expect(complaint().match(/is damaged/g)).toHaveLength(1);
    expect(process.exitCode).toBe(1);
  });

  it.each(['vcd', 'perfetto'])('is exported: %s', async (format) => {
    await printed('export', damaged(), '--format', format, '--output', output('exported'));
    expect(existsSync(output('exported'))).toBe(true);
    expect(complaint()).toMatch(PLACE);
    expect(process.exitCode).toBe(1);
  });

  it('is replayed, with a note', async () => {
    const write = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
    await replayCommand().parseAsync([damaged(), ...REFERENCE], { from: 'user' });
    const text = write.mock.calls.join('');
    write.mockRestore();
    expect(text).toContain('the trace is damaged, and what cannot be read of it is left out: event 1 (card)');
    expect(process.exitCode).toBe(1);
  });
});

describe('a recording that was cut off', () => {
  it.each([
    [0, 'the trace holds no card: it was cut off before'],
    [1, "the trace has no events of the card 'reference' to be replayed: the recording was cut off"],
    [20, 'the trace was cut off; it was replayed as far as it goes'],
    [-1, 'the trace was cut off; it was replayed as far as it goes'],
  ])('is replayed as far as it goes, or refused: within event %d', async (event, text) => {
    const file = cutIn(event);
    const write = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
    const outcome = await replayCommand()
      .parseAsync([file, ...REFERENCE], { from: 'user' })
      .then(
        () => write.mock.calls.join(''),
        (error: Error) => error.message,
      )
      .finally(() => write.mockRestore());
    expect(complaint()).toContain(`${file} has no end: the run was killed, or is still going on`);
    expect(outcome).toContain(text);
    expect(outcome).not.toMatch(/\b0 of \d+ events replayed/);
  });
});

describe('what is no file', () => {
  it.each(['show', 'stats', 'coverage'])('is refused by trace %s, and not waited for: a FIFO', async (command) => {
    const fifo = join(folder.path, 'run.trace');
    execFileSync('mkfifo', [fifo]);
    await expect(printed(command, fifo)).rejects.toThrow(`${fifo} is not a file: a recording is read from a file`);
  });
});
