/** Commands on a terminal, run by the real agent, which is a process on this machine. */
import { existsSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { Sitting } from '../../test/support/sitting';
import { GuestChannel } from '.';
import { LocalAgent } from '../../test/support/local-agent';

vi.setConfig({ testTimeout: 30_000 }); // longer than the wait for output, so that the error of that wait is reported

let agent: LocalAgent;
let channel: GuestChannel;
beforeAll(async () => (agent = await LocalAgent.start()), 60_000);
afterAll(async () => agent[Symbol.asyncDispose]());
beforeEach(async () => (channel = await GuestChannel.connect(await agent.connect(), { timeoutMs: 5_000 })));
afterEach(() => channel.close());

const terminal = { columns: 80, rows: 24 };
const sh = (script: string): string[] => ['sh', '-c', script];
const isAlive = (pid: number): boolean => existsSync(`/proc/${pid}`);
const CTRL_C = '\x03';
const CTRL_Z = '\x1a';

test('a command has a controlling terminal of the given size, on all three streams', async () => {
  const script = 'tty; stty size; echo to-tty > /dev/tty; echo to-stderr >&2; test -t 0 && test -t 1 && test -t 2';
  const { exitCode, stdout, stderr } = await channel.exec(sh(script), { terminal: { columns: 132, rows: 43 } });
  expect(stdout.toString()).toMatch(/^\/dev\/pts\/\d+\r\n43 132\r\nto-tty\r\nto-stderr\r\n$/);
  expect(stderr).toHaveLength(0);
  expect(exitCode).toBe(0);
});

test('a command on a terminal leads a session and its foreground process group', async () => {
  const { stdout } = await channel.exec(sh('echo $$; cut -d " " -f 5,6,8 /proc/$$/stat'), { terminal });
  const [pid, ...groups] = stdout.toString().match(/\d+/g)!;
  expect(groups).toEqual([pid, pid, pid]);
});

test('a resize sets the new size and sends SIGWINCH to the foreground', async () => {
  const sitting = new Sitting(
    channel,
    sh('trap "stty size; exit 7" WINCH; echo ready; while :; do sleep 60 & wait; done'),
  );
  await sitting.see(/ready/);
  sitting.command.resize({ columns: 101, rows: 52 });
  await sitting.see(/52 101/);
  expect(await sitting.result).toMatchObject({ exitCode: 7 });
  sitting.command.resize({ columns: 1, rows: 1 }); // no effect: the command has ended
});

test('an invalid size and a resize without a terminal are refused', async () => {
  await expect(channel.exec(['true'], { terminal: { columns: 65_536, rows: 1 } })).rejects.toThrow(
    'a terminal cannot have 65536 columns and 1 rows: each must be 0 to 65535',
  );
  const plain = channel.start(['true']);
  expect(() => plain.resize(terminal)).toThrow(
    'exec true: cannot resize the terminal, since the command was started without one',
  );
  await plain.result;
});

test('typing ^C interrupts the foreground job and not the shell', async () => {
  const shell = new Sitting(channel, ['sh', '-i']);
  await shell.see(/> /);
  shell.type('sh -c "echo started; exec sleep 60"\n');
  await shell.see(/\nstarted\r\n/);
  shell.type(CTRL_C);
  await shell.see(/> /);
  shell.type('echo status $?; exit 5\n');
  expect(await shell.see(/\nstatus (\d+)/)).toBe('130');
  expect(await shell.result).toMatchObject({ exitCode: 5 });
});

test('a job is stopped by ^Z, listed, and continued in the foreground', async () => {
  const shell = new Sitting(channel, ['sh', '-i']);
  await shell.see(/> /);
  shell.type('cat\nthrough\n');
  await shell.see(/through\r\nthrough/);
  shell.type(CTRL_Z);
  await shell.see(/> /);
  shell.type('jobs\n');
  await shell.see(/Stopped.*cat\r\n> /);
  shell.type('fg\n');
  await shell.see(/\ncat/);
  shell.type('again\n');
  await shell.see(/again\r\nagain/);
  shell.type('\x04');
  await shell.see(/> /);
  shell.type('exit 3\n');
  expect(await shell.result).toMatchObject({ exitCode: 3 });
});

test.each([
  ['whole lines', 'one\ntwo\n', 'one\r\ntwo\r\n'],
  ['half a line', 'one\ntwo', 'one\r\ntwo'],
  ['nothing', '', ''],
])('a reader sees the end of input after %s', async (_, text, seen) => {
  const { stdout, exitCode } = await channel.exec(sh('stty -echo; echo go; cat'), {
    terminal,
    stdin: Buffer.from(text),
    timeoutMs: 5000,
  });
  expect(exitCode).toBe(0);
  expect(stdout.toString().replace(/^.*go\r\n/s, '')).toBe(seen);
});

test('a reader without standard input sees end of file at once', async () => {
  expect(await channel.exec(['cat'], { terminal, timeoutMs: 5000 })).toMatchObject({ exitCode: 0, timedOut: false });
});

test('all output arrives, even if the command ends right after writing it', async () => {
  const long = await channel.exec(['seq', '200000'], { terminal });
  const lines = Array.from({ length: 200_000 }, (_, i) => `${i + 1}\r\n`);
  expect(long.stdout.toString() === lines.join('')).toBe(true);
  const burst = lines.slice(0, 900).join('');
  const results = await Promise.all(Array.from({ length: 40 }, () => channel.exec(['seq', '900'], { terminal })));
  expect(results.map(({ stdout }) => stdout.toString() === burst)).toEqual(Array(40).fill(true));
});

test('a slow reader slows the command down', async () => {
  let received = 0;
  let release = (): void => undefined;
  const gate = new Promise<void>((resolve) => (release = resolve));
  const onStdout = (chunk: Buffer): Promise<void> => {
    received += chunk.length;
    return gate;
  };
  const running = channel.exec(sh('stty -opost; head -c 3000000 /dev/zero'), { terminal, collect: false, onStdout });
  await channel.ping();
  expect(received).toBeLessThan(100_000);
  release();
  expect(await running).toMatchObject({ exitCode: 0 });
  expect(received).toBe(3_000_000);
});

test('a command that does not read its input does not block others', async () => {
  const stuck = channel.start(sh('stty raw -echo; sleep 60'), { terminal, stdin: Buffer.alloc(2_000_000, 'k') });
  expect((await channel.exec(['echo', 'free'])).stdout.toString()).toBe('free\n');
  stuck.signal('SIGKILL');
  expect(await stuck.result).toMatchObject({ signal: 'SIGKILL' });
});

test('a background process that keeps writing to the terminal does not delay the end of the command', async () => {
  const script = 'trap "" HUP; yes noise & echo pid $!';
  const { exitCode, stdout } = await channel.exec(sh(script), { terminal, timeoutMs: 5000 });
  expect(exitCode).toBe(0);
  const daemon = Number(/pid (\d+)/.exec(stdout.toString())![1]);
  await expect.poll(() => isAlive(daemon), { timeout: 5000 }).toBe(false); // its terminal is gone: EIO
});

/** A shell with a foreground job, a background job and a stopped job, each in its own process group. */
const JOBS =
  'set -m; trap "" HUP; sleep 61 & echo job $!; sh -c "echo job \\$\\$; kill -STOP \\$\\$" & wait $! 2>/dev/null; sh -c "echo job \\$\\$; exec sleep 62"';

async function jobs(sitting: Sitting): Promise<number[]> {
  return [
    Number(await sitting.see(/job (\d+)/)),
    Number(await sitting.see(/job (\d+)/)),
    Number(await sitting.see(/job (\d+)/)),
  ];
}

async function expectGone(pids: readonly number[]): Promise<void> {
  expect(pids).toHaveLength(3);
  await expect.poll(() => pids.filter(isAlive), { timeout: 5000 }).toEqual([]);
}

test('at the time limit all jobs of the session are killed, including stopped ones', async () => {
  const sitting = new Sitting(channel, ['sh', '-c', JOBS], { timeoutMs: 2000 });
  const pids = await jobs(sitting);
  expect(await sitting.result).toMatchObject({ timedOut: true, signal: 'SIGKILL' });
  await expectGone(pids);
});

test('SIGKILL is sent to all jobs of the session', async () => {
  const sitting = new Sitting(channel, ['sh', '-c', JOBS]);
  const pids = await jobs(sitting);
  sitting.command.signal('SIGKILL');
  expect(await sitting.result).toMatchObject({ timedOut: false, signal: 'SIGKILL' });
  await expectGone(pids);
});

test('when the host disconnects all jobs of its sessions are killed', async () => {
  const sitting = new Sitting(channel, ['sh', '-c', JOBS]);
  const pids = await jobs(sitting);
  channel.close();
  await expectGone(pids);
});
