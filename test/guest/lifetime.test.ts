/** However a run ends, no QEMU, no socket and no folder are left. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest';
import { listCache } from '../../qemu/provision';
import { leftovers, survivors } from '../support/remains';
import { startRig } from '../support/rig';

const cli = join(__dirname, '..', '..', 'cli', 'ghostcard.js');
let temporary: string;
beforeAll(() => {
  temporary = mkdtempSync(join(tmpdir(), 'gc-lifetime-'));
});
afterAll(() => rmSync(temporary, { recursive: true, force: true }));

const runners: ChildProcess[] = [];
afterEach(() => {
  for (const runner of runners.splice(0)) runner.kill('SIGKILL');
});

const environment = () => ({
  ...process.env,
  TMPDIR: temporary,
  GHOSTCARD_CACHE: inject('provisioned').amd64.cacheDir,
});

const nothingLeft = (): Promise<void> =>
  expect.poll(() => [...survivors(temporary), ...leftovers(temporary)], { timeout: 20_000, interval: 50 }).toEqual([]);

const run = (options: readonly string[], ...command: string[]) => [
  ...['run', '--minimal', '--driver', 'vfio-pci'],
  ...[...options, '--', ...command],
];
const longRun = run([], 'sleep', '1000');

/** Starts the command line with a command that does not end; resolves when its standard error has `line`. */
async function runUntil(line: RegExp, [program, ...args] = [process.execPath, cli, ...longRun]) {
  const runner = spawn(program!, args, {
    env: environment(),
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  runners.push(runner);
  for await (const text of createInterface(runner.stderr)) if (line.test(text)) break;
  return runner;
}

describe('after kill -9 of the runner', () => {
  it.each([
    ['while QEMU starts', /Starting QEMU/, []],
    ['while the guest boots', /Booting the guest/, ['--cold']],
    [
      'while the booted guest is saved',
      /Saving a snapshot of the booted guest/,
      ['--append', `lifetime=${process.pid}`],
    ],
    ['while the guest is restored', /from its snapshot/, []],
    ['when the guest is up', /The guest is up/, []],
    ['while the command runs', /noiommu-0/, []],
  ])('%s, nothing is left', async (_, line, options) => {
    const runner = await runUntil(line, [process.execPath, cli, ...run(options, 'sleep', '1000')]);
    runner.kill('SIGKILL');
    await once(runner, 'exit');
    await nothingLeft();
  });
});

/** GHOSTCARD_MANY_RUNS sets another number. */
const MANY_RUNS = Number(process.env.GHOSTCARD_MANY_RUNS ?? 20);

it('after many warm runs, two at a time, every tenth of them killed, nothing is left but what the cache accounts for', async () => {
  const succeeded: number[] = [];
  const oneRun = async (index: number): Promise<void> => {
    const killed = index % 10 === 5;
    const command = run([], ...(killed ? ['sleep', '1000'] : ['gc-identify']));
    if (killed) {
      // Each is killed in another phase.
      const lines = [/Starting QEMU/, /from its snapshot/, /The guest is up/, /noiommu-0/];
      const runner = await runUntil(lines[Math.floor(index / 10) % lines.length]!, [process.execPath, cli, ...command]);
      runner.kill('SIGKILL');
      await once(runner, 'exit');
    } else {
      const runner = spawn(process.execPath, [cli, ...command], { env: environment(), stdio: 'ignore' });
      runners.push(runner);
      const [code] = (await once(runner, 'exit')) as [number];
      if (code === 0) succeeded.push(index);
    }
  };
  const queue = Array.from({ length: MANY_RUNS }, (_, index) => index);
  const worker = async (): Promise<void> => {
    for (let index = queue.shift(); index !== undefined; index = queue.shift()) await oneRun(index);
  };
  await Promise.all([worker(), worker()]);
  expect(succeeded).toHaveLength(MANY_RUNS - Math.ceil((MANY_RUNS - 5) / 10));
  await nothingLeft();
  const items = await listCache(inject('provisioned').amd64.cacheDir);
  expect(items.filter(({ kind }) => kind === 'unknown')).toEqual([]);
}, 600_000);

it('after kill -9 of npm, the parent process that users see, nothing is left', async () => {
  const npm = await runUntil(/noiommu-0/, ['npm', 'exec', '--offline', '--', 'ghostcard', ...longRun]);
  npm.kill('SIGKILL');
  await once(npm, 'exit');
  await nothingLeft();
});

/** Whose default is to end a process, without those that Node takes for itself: SIGUSR1, SIGPIPE, SIGPROF. */
const SIGNALS = ['SIGQUIT', 'SIGABRT', 'SIGALRM', 'SIGVTALRM', 'SIGUSR2', 'SIGXCPU', 'SIGSYS', 'SIGPWR'] as const;

it.each([
  ['SIGINT', { code: 130, signal: null }],
  ['SIGTERM', { code: 143, signal: null }],
  ['SIGHUP', { code: 129, signal: null }],
  ...SIGNALS.map((signal) => [signal, { code: null, signal }] as const),
] as const)('after %s, nothing is left, and the exit code is that of an interrupted command', async (signal, end) => {
  const runner = await runUntil(/noiommu-0/);
  runner.kill(signal);
  const [code, endedBy] = (await once(runner, 'exit')) as [number | null, NodeJS.Signals | null];
  expect({ code, signal: endedBy }).toEqual(end);
  await nothingLeft();
});

it('after the end of QEMU, there is an error, and nothing is left', async () => {
  const runner = await runUntil(/noiommu-0/);
  const qemu = survivors(temporary).find(({ commandLine }) => commandLine.includes('qemu-system'));
  process.kill(qemu!.pid, 'SIGKILL');
  const [code] = (await once(runner, 'exit')) as [number];
  expect(code).toBe(123);
  await nothingLeft();
});

it('after a rig that was closed, its run folder is gone', async () => {
  const rig = await startRig();
  const { pid } = rig.guest;
  await rig.close();
  expect(() => process.kill(pid, 0)).toThrow('ESRCH');
});
