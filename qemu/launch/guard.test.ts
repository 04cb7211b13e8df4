import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { guardCommand } from './guard';
import { isRunning, until } from '../../test/support/launch/processes';

const [guard] = guardCommand();

/** A minimal runner: keeps a folder, runs a command under guard, prints both process ids. */
const RUNNER = `
  const { spawn } = require('node:child_process');
  const [guard, folder] = process.argv.slice(1);
  const keeper = spawn(guard, ['keep', folder], { stdio: ['pipe', 'pipe', 'inherit'] });
  keeper.stdout.once('data', () => {
    const command = spawn(guard, ['exec', String(process.pid), 'sleep', '1000'], { stdio: 'ignore' });
    command.once('spawn', () => console.log(JSON.stringify([keeper.pid, command.pid])));
  });`;

let base: string;
const children: ChildProcess[] = [];
beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'guard-'));
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  await rm(base, { recursive: true, force: true });
});

async function startRunner(folder: string): Promise<{ runner: ChildProcess; keeperPid: number; commandPid: number }> {
  const runner = spawn(process.execPath, ['-e', RUNNER, guard, folder], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(runner);
  const [line] = (await once(runner.stdout!, 'data')) as [Buffer];
  const [keeperPid, commandPid] = JSON.parse(line.toString()) as [number, number];
  return { runner, keeperPid, commandPid };
}

async function startKeeper(folder: string): Promise<ChildProcess> {
  const keeper = spawn(guard, ['keep', folder], { stdio: ['pipe', 'pipe', 'ignore'] });
  children.push(keeper);
  await once(keeper.stdout!, 'data');
  return keeper;
}

async function endInput(keeper: ChildProcess): Promise<void> {
  keeper.stdin!.end();
  await once(keeper, 'exit');
}

describe('when the runner is killed', () => {
  it('its command, its keeper and its folder are removed', async () => {
    const folder = join(base, 'run-1');
    const { runner, keeperPid, commandPid } = await startRunner(folder);
    await writeFile(join(folder, 'some.log'), 'text');
    runner.kill('SIGKILL');
    await until('the command is gone', () => !isRunning(commandPid));
    await until('the keeper is gone', () => !isRunning(keeperPid));
    expect(existsSync(folder)).toBe(false);
  });

  it('together with its keeper, its command ends, and the next run prunes its folder', async () => {
    const folder = join(base, 'run-1');
    const { runner, keeperPid, commandPid } = await startRunner(folder);
    process.kill(keeperPid, 'SIGKILL');
    runner.kill('SIGKILL');
    await until('the keeper is gone', () => !isRunning(keeperPid));
    await until('the command is gone', () => !isRunning(commandPid));
    expect(existsSync(folder)).toBe(true);
    const { stdout } = await execa(guard, ['prune', base]);
    expect(stdout).toBe('run-1');
    expect(existsSync(folder)).toBe(false);
  });
});

describe('guard keep', () => {
  it('creates a folder that only its user can enter, and removes it with its contents', async () => {
    const folder = join(base, 'run-1');
    const keeper = await startKeeper(folder);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    await mkdir(join(folder, 'deep', 'deeper'), { recursive: true });
    await writeFile(join(folder, 'deep', 'deeper', 'file'), 'text');
    await endInput(keeper);
    expect(existsSync(folder)).toBe(false);
  });

  it('removes symbolic links and leaves their targets alone', async () => {
    const folder = join(base, 'run-1');
    const keeper = await startKeeper(folder);
    await mkdir(join(base, 'precious'));
    await writeFile(join(base, 'precious', 'file'), 'text');
    await symlink(join(base, 'precious'), join(folder, 'to-folder'));
    await symlink(join(base, 'precious', 'file'), join(folder, 'to-file'));
    await endInput(keeper);
    expect(existsSync(folder)).toBe(false);
    expect(readFileSync(join(base, 'precious', 'file'), 'utf8')).toBe('text');
  });

  it('removes only the link when its folder has been replaced by a symbolic link', async () => {
    const folder = join(base, 'run-1');
    const keeper = await startKeeper(folder);
    await mkdir(join(base, 'precious', 'inner'), { recursive: true });
    await rm(folder, { recursive: true });
    await symlink(join(base, 'precious'), folder);
    await endInput(keeper);
    expect(await readdir(join(base, 'precious'))).toEqual(['inner']);
  });

  it('has a session of its own and ignores signals from the terminal', async () => {
    const keeper = await startKeeper(join(base, 'run-1'));
    const status = readFileSync(`/proc/${keeper.pid}/status`, 'utf8');
    const ignored = BigInt(`0x${/^SigIgn:\s*(\w+)/m.exec(status)![1]}`);
    const [SIGHUP, SIGINT, SIGQUIT, SIGTERM] = [1n, 2n, 3n, 15n];
    for (const signal of [SIGHUP, SIGINT, SIGQUIT, SIGTERM]) expect((ignored >> (signal - 1n)) & 1n).toBe(1n);
    const fields = readFileSync(`/proc/${keeper.pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
    const session = Number(fields[3]);
    expect(session).toBe(keeper.pid);
    await endInput(keeper);
  });

  it.each([
    ['a folder that exists', (path: string) => path, /^guard: cannot create .*: File exists$/],
    [
      'a path that is not absolute',
      () => 'run-1',
      /^guard: keep: run-1 is not the absolute path of a folder to create$/,
    ],
    ['a path that ends in ..', (path: string) => `${path}/..`, /is not the absolute path of a folder to create$/],
    ['a folder whose parent is missing', (path: string) => `${path}/no/run-1`, /^guard: cannot open .*: No such file/],
  ])('refuses %s', async (_, path, message) => {
    const { exitCode, stderr } = await execa(guard, ['keep', path(base)], { reject: false, input: '' });
    expect(stderr).toMatch(message);
    expect(exitCode).toBe(125);
    expect(existsSync(base)).toBe(true);
  });
});

describe('guard prune', () => {
  it('leaves the folder of a living keeper, and everything that is not a run folder', async () => {
    const keeper = await startKeeper(join(base, 'run-living'));
    await mkdir(join(base, 'run-dead'));
    await mkdir(join(base, 'other'));
    await symlink(join(base, 'other'), join(base, 'run-link'));
    const { stdout } = await execa(guard, ['prune', base]);
    expect(stdout).toBe('run-dead');
    expect((await readdir(base)).sort()).toEqual(['other', 'run-link', 'run-living']);
    await endInput(keeper);
  });
});

describe('guard exec', () => {
  it('becomes the command, with its arguments and its exit code', async () => {
    const { stdout, exitCode } = await execa(
      guard,
      ['exec', String(process.pid), 'sh', '-c', 'echo "$0 $1"; exit 7', 'one', 'two words'],
      { reject: false },
    );
    expect(stdout).toBe('one two words');
    expect(exitCode).toBe(7);
  });

  it('does not start the command when the given process is not the parent', async () => {
    const { stderr, exitCode } = await execa(guard, ['exec', '1', 'echo', 'started'], { reject: false });
    expect(stderr).toBe('guard: process 1 is not the parent any more: it has died');
    expect(exitCode).toBe(125);
  });

  it('says which command it cannot find', async () => {
    const command = join(base, 'no-such-qemu');
    const { stderr, exitCode } = await execa(guard, ['exec', String(process.pid), command], { reject: false });
    expect(stderr).toBe(`guard: cannot execute ${command}: No such file or directory`);
    expect(exitCode).toBe(127);
  });
});

it('prints its usage', async () => {
  const { stderr } = await execa(guard, ['guess'], { reject: false });
  expect(stderr).toMatch(/^guard: usage: guard keep DIR/);
});

describe('a guarded command', () => {
  it('makes no device nodes and no programs that set a user or group id, and anything else', async () => {
    const script = `cd "$1"; umask 022
      attempt() { "$@" 2>/dev/null && echo "$*" || echo "no: $*"; }
      attempt touch file; attempt mkfifo fifo; attempt mkdir -m 1777 folder; attempt chmod 4755 file
      attempt chmod 2755 file; attempt install -m 6755 file other; attempt mknod null c 1 3; attempt mknod disk b 7 0
      attempt chmod 700 file; attempt cp file copy; attempt ln -s file link`;
    const { stdout } = await execa(guard, ['exec', String(process.pid), 'sh', '-c', script, 'sh', base]);
    expect(stdout.split('\n')).toEqual([
      ...['touch file', 'mkfifo fifo', 'mkdir -m 1777 folder', 'no: chmod 4755 file', 'no: chmod 2755 file'],
      ...['no: install -m 6755 file other', 'no: mknod null c 1 3', 'no: mknod disk b 7 0'],
      ...['chmod 700 file', 'cp file copy', 'ln -s file link'],
    ]);
  });
});
