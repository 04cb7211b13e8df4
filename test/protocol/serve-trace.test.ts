/** The trace of `ghostcard serve --trace`, however the process ends. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { REFERENCE_REGISTERS } from '../../emulator/cards/reference';
import { readTrace, type Trace } from '../../instrumentation/trace';
import { viewOf, VfioUserClient, words } from '../support/vfio-user-client';
import { cardFile, serving, startServing } from './serve-process';
import { until } from './serving';

const BAR0 = 0;
const CONFIG = 7;
const SCRATCH = REFERENCE_REGISTERS.registers.find(({ path }) => path === 'SCRATCH')!.offset;
const COMMAND_REGISTER = 4;

function tracePath(): string {
  const folder = mkdtempSync(join(tmpdir(), 'ghostcard-trace-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return join(folder, 'run.trace');
}

async function clientOf(socketPath: string): Promise<VfioUserClient> {
  const client = await VfioUserClient.connect(socketPath);
  await client.regionWrite(CONFIG, COMMAND_REGISTER, Uint8Array.of(6, 0));
  return client;
}

/** Writes 0, 1, 2 ... to SCRATCH. */
async function postMany(client: VfioUserClient, count: number): Promise<void> {
  for (let value = 0; value < count; value++) {
    client.postRegionWrite(BAR0, SCRATCH, words(value));
    if (value % 1000 === 999) await client.regionRead(BAR0, SCRATCH, 4);
  }
}

/** What was written to SCRATCH, in order. */
const writtenIn = ({ events }: Trace): number[] =>
  events.flatMap((event) =>
    event.kind === 'write' && event.region === BAR0 ? viewOf(Buffer.from(event.data)).getUint32(0, true) : [],
  );
const upTo = (last: number): number[] => Array.from({ length: last + 1 }, (_, i) => i);

test('a second process does not record to the file of the first', async () => {
  const path = tracePath();
  const first = await serving('reference', { args: ['--trace', path] });
  const second = startServing('reference', { args: ['--trace', path] });
  expect((await second.ended).exitCode).toBe(2);
  expect(second.standardError()).toContain(`${path} is being recorded to by another run`);
  await using client = await clientOf(first.socketPath);
  await client.regionWrite(BAR0, SCRATCH, words(7));
  first.process.kill('SIGTERM');
  await first.ended;
  const trace = readTrace(path);
  expect(writtenIn(trace)).toEqual([7]);
  expect(trace.isEnded).toBe(true);
});

test('a process that is killed leaves a trace up to its last moments', async () => {
  const path = tracePath();
  const { socketPath, process: child, ended } = await serving('reference', { args: ['--trace', path] });
  await using client = await clientOf(socketPath);
  const writeMany = async (first: number, count: number) => {
    for (let value = first; value < first + count; value++) await client.regionWrite(BAR0, SCRATCH, words(value));
  };
  await writeMany(0, 3000);
  // Then nothing happens any more, and events that are still in memory are written to the file.
  await until('all events to be in the file', () => writtenIn(readTrace(path)).length === 3000);
  const pending = writeMany(3000, 100_000).catch(() => 'the client lost its server');
  await until('more events to be in the file', () => writtenIn(readTrace(path)).length > 4000, 30_000);
  child.kill('SIGKILL');
  expect([await pending, (await ended).signal]).toEqual(['the client lost its server', 'SIGKILL']);
  const trace = readTrace(path);
  expect(trace.isEnded).toBe(false);
  expect(trace.events[0]).toMatchObject({ kind: 'card', description: { name: 'reference' } });
  const written = writtenIn(trace);
  expect(written).toEqual(upTo(written.length - 1));
  expect(written.length).toBeGreaterThan(4000);
}, 60_000);

test('a process that is killed leaves the end of its trace in a ring, whose size is limited', async () => {
  const path = tracePath();
  const args = ['--trace', path, '--trace-ring', '1'];
  const { socketPath, process: child, ended } = await serving('reference', { args });
  await using client = await clientOf(socketPath);
  await postMany(client, 60_000);
  await until('the last event to be in the file', () => writtenIn(readTrace(path)).at(-1) === 59_999);
  child.kill('SIGKILL');
  await ended;
  expect(readdirSync(dirname(path)).sort()).toEqual(['run.trace', 'run.trace.earlier']);
  const trace = readTrace(path);
  expect(trace.header.lostEvents).toBeGreaterThan(10_000);
  const written = writtenIn(trace);
  expect(written).toEqual(upTo(59_999).slice(-written.length));
  expect(written.length).toBeGreaterThan(10_000);
}, 60_000);

test('a process that ends in an orderly way prints where its trace is, and what is and is not in it', async () => {
  const path = tracePath();
  const args = ['--trace', path];
  const served = await serving('reference,mapMemory=on', { args });
  const client = await clientOf(served.socketPath);
  for (const offset of [SCRATCH, SCRATCH + 4, 0x3000]) await client.regionRead(BAR0, offset, 4);
  client.close();
  served.process.kill('SIGTERM');
  await served.ended;
  const [summary, coverage] = served.texts.slice(-2);
  expect(summary).toMatch(
    /^the trace is in .*run\.trace: \d+ events\. Not in it: accesses of memory that the guest had mapped \(reference BAR2 \+ 0x0, 16.0 MiB\)/,
  );
  expect(coverage).toMatch(
    /^reference: 2 of \d+ registers were used; never: ID, VERSION.* and \d+ more; accessed, but not modelled: BAR0 \+ 0x3000$/,
  );
  expect(readTrace(path).isEnded).toBe(true);
});

test('--trace-disable-mmap offers no BAR mapping, so that accesses of memory are in the trace', async () => {
  const path = tracePath();
  const served = await serving('reference,mapMemory=on', { args: ['--trace', path, '--trace-disable-mmap'] });
  const client = await clientOf(served.socketPath);
  await client.regionWrite(2, 0x100, words(0x1234));
  client.close();
  served.process.kill('SIGTERM');
  await served.ended;
  expect(served.texts.at(-2)).toMatch(/^the trace is in .*: \d+ events$/);
  const { events } = readTrace(path);
  expect(events.find((event) => event.kind === 'write' && event.region === 2)).toMatchObject({ offset: 0x100 });
});

test('a process that ends by an uncaught error leaves its trace', async () => {
  const path = tracePath();
  const throwing = cardFile(`onReset() { setImmediate(() => { throw new Error('planted'); }); }`);
  const served = await serving(throwing, { args: ['--trace', path] });
  const client = await clientOf(served.socketPath);
  client.reset().catch(() => {});
  await served.ended;
  client.close();
  expect(served.standardError()).toContain('planted');
  const { events, isEnded } = readTrace(path);
  expect(events.some((event) => event.kind === 'reset' && event.reset === 'device')).toBe(true);
  expect(isEnded).toBe(false);
});

test('a trace that cannot grow any more ends, and the card is still served', async () => {
  const path = tracePath();
  const served = await serving('reference', { args: ['--trace', path], fileLimitBytes: 512 << 10 });
  await using client = await clientOf(served.socketPath);
  await postMany(client, 50_000);
  expect(viewOf(await client.regionRead(BAR0, SCRATCH, 4)).getUint32(0, true)).toBe(49_999);
  await until('a message about it', () => served.standardError() !== '');
  expect(served.standardError()).toMatch(/^ghostcard: the trace .*run\.trace cannot be written any more: EFBIG.*\n$/);
  const written = writtenIn(readTrace(path));
  expect(written).toEqual(upTo(written.length - 1));
  expect(written.length).toBeGreaterThan(10_000);
});

test('a model error is in the trace, after the access that caused it', async () => {
  const path = tracePath();
  const served = await serving(cardFile(`go() { throw new Error('planted'); }`), { args: ['--trace', path] });
  await using client = await clientOf(served.socketPath);
  await expect(client.regionWrite(BAR0, 0, words(1))).rejects.toThrow('EIO');
  served.process.kill('SIGTERM');
  await served.ended;
  const { events } = readTrace(path);
  const at = events.findIndex(({ kind }) => kind === 'notice');
  expect(events.slice(at - 1, at + 1)).toMatchObject([
    { kind: 'write', region: BAR0, data: Uint8Array.of(1, 0, 0, 0) },
    { kind: 'notice', text: 'the model of the card threw: Error: planted' },
  ]);
});

const cli = join(__dirname, '..', '..', 'cli', 'ghostcard.js');
const refusal = (...args: string[]): string => {
  const socket = join(dirname(tracePath()), 'card');
  const { status, stderr } = spawnSync(
    process.execPath,
    [cli, 'serve', '--card', 'reference', '--socket', socket, ...args],
    { encoding: 'utf8', timeout: 30_000 },
  );
  return `${status}: ${stderr.trim()}`;
};

test('a file that cannot be recorded to is refused before the card is served', () => {
  const path = tracePath();
  writeFileSync(path, 'the work of a month\n');
  expect(refusal('--trace', path)).toContain('this file exists and is not a trace: name another, or remove it first');
  expect(refusal('--trace', join(dirname(path), 'nowhere', 'run.trace'))).toContain(
    'its folder does not exist: make it first, or name another',
  );
  expect(refusal('--trace-ring', '8')).toContain(
    '2: ghostcard: --trace-ring says how to record a trace: say where, with --trace FILE',
  );
  expect(refusal('--trace', path, '--trace-ring', '0')).toContain('It must be a whole number from 1 to');
  expect(existsSync(join(dirname(path), 'card'))).toBe(false);
});
