/** The channel with the real agent, which runs as a process on this machine. */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Duplex, PassThrough, Readable } from 'node:stream';
import { decode, encode } from 'msgpack-lite';
import { afterAll, beforeAll, beforeEach, afterEach, expect, test } from 'vitest';
import { GuestChannel } from '.';
import { LocalAgent } from '../../test/support/local-agent';

let agent: LocalAgent;
let channel: GuestChannel;
beforeAll(async () => (agent = await LocalAgent.start()), 60_000);
afterAll(async () => agent[Symbol.asyncDispose]());
beforeEach(async () => (channel = await GuestChannel.connect(await agent.connect(), { timeoutMs: 5_000 })));
afterEach(() => channel.close());

const sh = (script: string): string[] => ['sh', '-c', script];
const isAlive = (pid: number): boolean => existsSync(`/proc/${pid}`);

async function firstLine(run: (onStdout: (chunk: Buffer) => void) => void): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    run((chunk) => {
      text += chunk.toString();
      if (text.includes('\n')) resolve(text.split('\n')[0]!);
    });
  });
}

test('the agent reports its protocol version and its kernel', () => {
  expect(channel.agent).toMatchObject({
    protocol: 2,
    machine: expect.any(String),
    kernel: expect.stringMatching(/^\d/),
  });
});

test('a command gets its arguments unchanged, and its stdout and stderr are separate', async () => {
  const argv = ['printf', '%s|', 'a b', '', "quote'", 'ünï'];
  expect((await channel.exec(argv)).stdout.toString()).toBe("a b||quote'|ünï|");
  const both = await channel.exec(sh('echo out; echo err >&2; exit 3'));
  expect(both).toMatchObject({
    exitCode: 3,
    stdout: Buffer.from('out\n'),
    stderr: Buffer.from('err\n'),
    timedOut: false,
  });
});

test('a command has the given environment and folder', async () => {
  const env = { COLOUR: 'red', PATH: `${agent.folder}/bin:/bin:/usr/bin` };
  const { stdout } = await channel.exec(sh('echo "$COLOUR $PATH"; pwd'), { env, cwd: agent.folder });
  expect(stdout.toString()).toBe(`red ${env.PATH}\n${agent.folder}\n`);
});

test('a command is searched for in the given PATH', async () => {
  mkdirSync(join(agent.folder, 'own'));
  symlinkSync('/bin/echo', join(agent.folder, 'own', 'my-echo'));
  const { stdout } = await channel.exec(['my-echo', 'found'], { env: { PATH: join(agent.folder, 'own') } });
  expect(stdout.toString()).toBe('found\n');
});

test('a command without standard input reads end of file', async () => {
  expect((await channel.exec(['cat'])).stdout).toHaveLength(0);
});

test('a command gets all of its standard input, from a buffer and from a stream', async () => {
  const bytes = Buffer.alloc(3_000_001, 'abcdefg');
  expect((await channel.exec(['cat'], { stdin: bytes })).stdout.equals(bytes)).toBe(true);
  const pieces = Array.from({ length: 50 }, (_, i) => Buffer.alloc(40_000, i));
  const { stdout } = await channel.exec(['cat'], { stdin: Readable.from(pieces) });
  expect(stdout.equals(Buffer.concat(pieces))).toBe(true);
});

test('a command can end without reading its input', async () => {
  expect(await channel.exec(['true'], { stdin: Buffer.alloc(5_000_000) })).toMatchObject({ exitCode: 0 });
  const idle = new PassThrough();
  expect(await channel.exec(['true'], { stdin: idle })).toMatchObject({ exitCode: 0 });
  expect(idle.destroyed).toBe(false);
});

test('an error of the input stream fails the command, which is killed', async () => {
  const stdin = new PassThrough();
  let failed: Promise<unknown> | undefined;
  const pid = await firstLine((onStdout) => {
    failed = channel.exec(sh('echo $$; cat'), { stdin, onStdout }).catch((error: unknown) => error);
  });
  stdin.destroy(new Error('disk on fire'));
  expect(await failed).toEqual(new Error('disk on fire'));
  await expect(channel.exec(sh(`while kill -0 ${pid}; do :; done`))).resolves.toMatchObject({ exitCode: 0 });
});

test('a command that does not read its input does not block others', async () => {
  const stuck = channel.start(['sleep', '60'], { stdin: Buffer.alloc(5_000_000) });
  expect((await channel.exec(['echo', 'free'])).stdout.toString()).toBe('free\n');
  stuck.signal('SIGTERM');
  expect(await stuck.result).toMatchObject({ signal: 'SIGTERM' });
});

test('the result of a command that is killed by a signal names the signal', async () => {
  expect(await channel.exec(sh('kill -SEGV $$'))).toMatchObject({ signal: 'SIGSEGV', timedOut: false });
  expect((await channel.exec(sh('kill -SEGV $$'))).exitCode).toBeUndefined();
});

test('output is delivered while the command runs', async () => {
  const stdin = new PassThrough();
  let done: Promise<unknown> | undefined;
  const line = await firstLine((onStdout) => {
    done = channel.exec(sh('echo ready; cat'), { stdin, onStdout });
  });
  expect(line).toBe('ready');
  stdin.end('more');
  expect(await done).toMatchObject({ stdout: Buffer.from('ready\nmore') });
});

test('100 MB of output arrive completely', async () => {
  const { stdout } = await channel.exec(sh('yes 0123456789abcde | head -c 100000000'));
  expect(stdout).toHaveLength(100_000_000);
  expect(stdout.equals(Buffer.alloc(100_000_000, '0123456789abcde\n'))).toBe(true);
});

test('a slow reader slows the command down, and the agent holds no more than its buffers', async () => {
  let received = 0;
  let release = (): void => undefined;
  const gate = new Promise<void>((resolve) => (release = resolve));
  const running = channel.exec(sh('head -c 100000000 /dev/zero'), {
    collect: false,
    onStdout: (chunk) => {
      received += chunk.length;
      return gate;
    },
  });
  await channel.ping();
  const residentKiB = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${agent.process.pid}/status`, 'utf8'))?.[1];
  expect(Number(residentKiB)).toBeLessThan(8 * 1024);
  expect(received).toBeLessThan(100_000);
  release();
  expect(await running).toMatchObject({ exitCode: 0, stdout: Buffer.alloc(0) });
  expect(received).toBe(100_000_000);
});

test('an exception in an output handler fails the command', async () => {
  const failing = channel.exec(['yes'], {
    onStdout: () => {
      throw new Error('no room here');
    },
  });
  await expect(failing).rejects.toThrow('no room here');
});

test('at the time limit the whole session is killed, and the result says what its processes were doing', async () => {
  const result = await channel.exec(sh('sleep 60 & echo $!; wait'), { timeoutMs: 1000 });
  expect(result).toMatchObject({ timedOut: true, signal: 'SIGKILL' });
  expect(result.processes).toMatch(/\bsleep \(process \d+, state [SRD]\)/);
  // The result is sent when the leader ends. The others of its group have been signalled too, and die when they next
  // run.
  const other = Number(result.stdout.toString());
  await expect.poll(() => isAlive(other), { timeout: 5000 }).toBe(false);
});

test('a daemon that a command leaves behind does not delay the end of the command', async () => {
  const { exitCode, stdout } = await channel.exec(sh('sleep 60 & echo $!'));
  expect(exitCode).toBe(0);
  const daemon = Number(stdout.toString());
  expect(isAlive(daemon)).toBe(true);
  process.kill(daemon);
  // The agent is now its parent and must reap it: a zombie would stay in /proc.
  await expect(channel.exec(sh(`while [ -e /proc/${daemon} ]; do :; done`))).resolves.toMatchObject({ exitCode: 0 });
});

test('a daemon that keeps writing does not delay the end of its command', async () => {
  const { exitCode, stdout } = await channel.exec(sh('echo $$; yes noise & echo $!'), { timeoutMs: 5000 });
  expect(exitCode).toBe(0);
  const [command, daemon] = stdout.toString().match(/^\d+$/gm)!.map(Number);
  expect(isAlive(command!)).toBe(false);
  await expect.poll(() => isAlive(daemon!), { timeout: 5000 }).toBe(false); // its pipe has no reader any more
});

test('many commands run concurrently, each with its own output', async () => {
  const results = await Promise.all(
    Array.from({ length: 40 }, (_, i) => channel.exec(sh(`cat; echo ${i}`), { stdin: Buffer.from('n') })),
  );
  expect(results.map(({ stdout }) => stdout.toString())).toEqual(Array.from({ length: 40 }, (_, i) => `n${i}\n`));
});

test('a command beyond the limit of concurrent commands is refused, and the error has the limit', async () => {
  const running = Array.from({ length: 64 }, () => channel.start(['sleep', '60']));
  await expect(channel.exec(['true'])).rejects.toThrow(/64 commands are running, which is the limit \(EAGAIN\)/);
  for (const command of running) command.signal('SIGKILL');
  await Promise.all(running.map(({ result }) => result));
});

test('the error for a command that cannot be run has the command, the cause and its code', async () => {
  await expect(channel.exec(['no-such-program'])).rejects.toMatchObject({
    name: 'GuestRequestError',
    code: 'ENOENT',
    message: expect.stringMatching(/^no-such-program: not found/),
  });
  await expect(channel.exec(['true'], { cwd: '/no/such' })).rejects.toThrow(
    /cannot change to folder \/no\/such \(ENOENT\)/,
  );
  await expect(channel.exec(['true'], { root: '/no/such' })).rejects.toThrow(
    /cannot enter the root \/no\/such \(ENOENT\)/,
  );
  await expect(channel.exec([])).rejects.toThrow(/argv must be an array of one or more strings/);
});

test('a time limit can exceed 32 bits of milliseconds', async () => {
  await expect(channel.exec(['true'], { timeoutMs: 2 ** 40 })).resolves.toMatchObject({ exitCode: 0 });
});

test('an agent outside a guest does not change the clock and the host name of its machine', async () => {
  const identity = { realtimeMs: Date.now(), entropy: randomBytes(32), hostname: 'other' };
  await expect(channel.renew(identity)).rejects.toMatchObject({ code: 'EPERM' });
  await expect(channel.renew({ ...identity, entropy: new Uint8Array(1 << 20) })).rejects.toThrow(
    /exceeds the frame limit/,
  );
});

test('a pushed file has the given contents and mode, and replaces an existing one', async () => {
  const path = join(agent.folder, 'pushed');
  const bytes = Buffer.alloc(2_000_003, 'xyz');
  await channel.push(path, Buffer.from('old'), 0o600);
  await channel.push(path, bytes, 0o755);
  expect(readFileSync(path).equals(bytes)).toBe(true);
  expect(statSync(path).mode & 0o7777).toBe(0o755);
  await channel.push(path, Buffer.alloc(0));
  expect(statSync(path).size).toBe(0);
});

test('a fetched file has the contents of the original', async () => {
  const bytes = Buffer.alloc(4_000_001, 'pattern');
  writeFileSync(join(agent.folder, 'fetched'), bytes);
  expect((await channel.fetch(join(agent.folder, 'fetched'))).equals(bytes)).toBe(true);
  expect((await channel.fetch('/proc/version')).toString()).toMatch(/^Linux version/);
});

test('the error for a failed transfer has the path and the cause, and nothing is left behind', async () => {
  await expect(channel.fetch('/no/such')).rejects.toThrow(/cannot open \/no\/such .*\(ENOENT\)/);
  await expect(channel.fetch('/tmp')).rejects.toThrow(/not a regular file.*\(EISDIR\)/);
  await expect(channel.push('/no/such', Buffer.from('x'))).rejects.toMatchObject({ code: 'ENOENT' });
  mkdirSync(join(agent.folder, 'taken'));
  await expect(channel.push(join(agent.folder, 'taken'), Buffer.from('x'))).rejects.toMatchObject({ code: 'EISDIR' });
  expect(readdirSync(agent.folder).filter((name) => name.includes('partial'))).toEqual([]);
});

test('when the host disconnects its commands are killed, and the next host starts with a clean state', async () => {
  const pid = await firstLine((onStdout) => {
    channel.exec(sh('echo $$; exec sleep 60'), { onStdout }).catch(() => undefined);
  });
  channel.close();
  await using next = await GuestChannel.connect(await agent.connect(), { timeoutMs: 5_000 });
  const gone = await next.exec(sh(`while [ -e /proc/${pid} ]; do :; done; echo gone`));
  expect(gone.stdout.toString()).toBe('gone\n');
});

test('abort rejects everything pending, and all later requests, with its reason', async () => {
  const running = channel.exec(['sleep', '60']);
  channel.abort(new Error('QEMU died'));
  await expect(running).rejects.toThrow('QEMU died');
  await expect(channel.fetch('/etc/hostname')).rejects.toThrow('QEMU died');
  await expect(channel.ping()).rejects.toThrow('QEMU died');
  expect(channel.ended?.message).toBe('QEMU died');
});

test('connecting times out when no agent answers, and the error says what it waited for', async () => {
  const silent = new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done() });
  await expect(GuestChannel.connect(silent, { timeoutMs: 20 })).rejects.toThrow(
    'no hello from the guest agent within 20 ms',
  );
  expect(silent.destroyed).toBe(true);
});

test('messages for an earlier host are skipped until the reply to the own hello', async () => {
  const agentFrame = (message: unknown): Buffer => {
    const body = encode(message);
    const head = Buffer.alloc(4);
    head.writeUInt32LE(body.length);
    return Buffer.concat([head, body]);
  };
  const agentSays = { protocol: 2, maxFrameBytes: 1, windowBytes: 1, pid: 1, kernel: '6', machine: 'x' };
  const left = [
    Buffer.alloc(999, 3),
    agentFrame({ type: 'error', message: 'stale' }),
    agentFrame({ type: 'hello', ...agentSays }),
  ];
  const restored = new Duplex({
    read: () => undefined,
    write(sent: Buffer, _encoding, done) {
      const { id } = decode(sent.subarray(4)) as { id: number };
      const answer = agentFrame({ type: 'hello', id, ...agentSays });
      for (const byte of Buffer.concat([...left, answer])) this.push(Buffer.of(byte));
      done();
    },
  });
  const own = await GuestChannel.connect(restored, { timeoutMs: 5_000 });
  expect(own.agent).toMatchObject({ kernel: '6' });
  restored.push(agentFrame({ type: 'hello', ...agentSays }));
  await expect(own.ping()).rejects.toThrow('the guest agent started over');
});

test('the end of the stream ends the channel', async () => {
  const ending = new Duplex({
    read() {
      this.push(null);
    },
    write: (_chunk, _encoding, done) => done(),
  });
  await expect(GuestChannel.connect(ending, { timeoutMs: 5_000 })).rejects.toThrow('the other side closed the channel');
});

test('the end of the agent fails everything pending', async () => {
  await using mortal = await LocalAgent.start();
  const own = await GuestChannel.connect(await mortal.connect(), { timeoutMs: 5_000 });
  const pending = own.exec(['cat'], { stdin: new PassThrough() }); // ends with its input, so with the agent
  mortal.process.kill('SIGKILL');
  await expect(pending).rejects.toThrow(/channel to the guest agent/);
});
