/** Marks from a program in the guest to the host, with the real agent and the real `gc-mark` on this machine. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { encodeFrame, FrameDecoder } from './framing';
import { GuestChannel } from './guest-channel';
import { LocalAgent } from '../../test/support/local-agent';
import { type HostMessage } from './protocol';

let agent: LocalAgent;
beforeAll(async () => (agent = await LocalAgent.start({ withMarks: true })), 60_000);
afterAll(async () => agent[Symbol.asyncDispose]());

/** Like a program that the agent did not start: a daemon, or a job of a shell. */
const markFromOutside = (...args: string[]) =>
  spawn(agent.markProgram, args, { stdio: 'ignore', env: agent.markEnvironment, timeout: 30_000 });

describe('a mark of a program in the guest', () => {
  let marks: string[];
  let channel: GuestChannel;
  beforeEach(async () => {
    marks = [];
    const onMark = (text: string): void => void marks.push(text);
    channel = await GuestChannel.connect(await agent.connect(), { timeoutMs: 5_000, onMark });
  });
  afterEach(() => channel.close());

  it('has reached the host when the program continues', async () => {
    const { exitCode } = await channel.exec([agent.markProgram, 'the', 'ring is full']);
    expect([exitCode, marks]).toEqual([0, ['the ring is full']]);
  });

  it('can have any Unicode text of up to 1024 bytes', async () => {
    const long = 'x'.repeat(1024);
    for (const text of ['für später: ☃', long]) await channel.exec([agent.markProgram, text]);
    expect(marks).toEqual(['für später: ☃', long]);
    const { exitCode, stderr } = await channel.exec([agent.markProgram, `${long}y`]);
    expect(exitCode).toBe(1);
    expect(stderr.toString()).toMatch(
      /^gc-mark: 'x+\.\.\.' \(1025 bytes\) could not be sent as a mark: Message too long\n$/,
    );
  });

  it('is queued when there are many', async () => {
    const texts = Array.from({ length: 50 }, (_, i) => `mark ${i}`);
    const ended = await Promise.all(texts.map((text) => channel.exec([agent.markProgram, text])));
    expect(ended.map(({ exitCode }) => exitCode)).toEqual(texts.map(() => 0));
    expect(marks.sort()).toEqual(texts.sort());
  });

  it('can come from a program that the agent did not start', async () => {
    expect(await once(markFromOutside('from a daemon'), 'exit')).toEqual([0, null]);
    expect(marks).toEqual(['from a daemon']);
  });
});

describe('a program that sets a mark continues', () => {
  it('on a machine without an agent', () => {
    const env = { GHOSTCARD_AGENT: 'ghostcard-agent-of-nobody' };
    const { status, stderr } = spawnSync(agent.markProgram, ['hello'], { env, timeout: 5_000 });
    expect([status, stderr.toString()]).toEqual([0, '']);
  });

  it('when the agent has no host', async () => {
    expect(await once(markFromOutside('hello'), 'exit')).toEqual([0, null]);
  });

  it('after another program was killed while waiting, and the host answered late and repeatedly', async () => {
    using host = await SilentHost.connect();
    const program = markFromOutside('first');
    const id = (await host.next('mark'))['id'] as number;
    program.kill('SIGKILL');
    await once(program, 'exit');
    for (const late of [id, id, 0, 0xffff_ffff]) host.send({ type: 'marked', id: late });
    const second = markFromOutside('second');
    const mark = await host.next('mark');
    expect(mark).toMatchObject({ text: 'second' });
    host.send({ type: 'ping', id: 5 });
    await host.next('pong');
    expect(second.exitCode).toBe(null); // it waits for its reply
    host.send({ type: 'marked', id: mark['id'] as number });
    expect(await once(second, 'exit')).toEqual([0, null]);
  });

  it('when the host disconnects or starts over', async () => {
    const host = await SilentHost.connect();
    const programs = [1, 2, 3].map((number) => once(markFromOutside(`mark ${number}`), 'exit'));
    for (const _ of programs) await host.next('mark');
    host[Symbol.dispose]();
    expect(await Promise.all(programs)).toEqual(programs.map(() => [0, null]));
    using next = await SilentHost.connect();
    const waiting = once(markFromOutside('for the next host'), 'exit');
    await next.next('mark');
    next.send({ type: 'hello', id: 80_000 });
    expect(await waiting).toEqual([0, null]);
  });
});

/** A host that does not reply to marks by itself. */
class SilentHost implements Disposable {
  readonly #messages: AsyncGenerator<Record<string, unknown>, void>;

  private constructor(private readonly socket: Socket) {
    this.#messages = messagesOf(socket);
  }

  static async connect(): Promise<SilentHost> {
    const host = new SilentHost(await agent.connect());
    host.send({ type: 'hello', id: 70_000 });
    while ((await host.next('hello'))['id'] !== 70_000);
    return host;
  }

  send(message: HostMessage): void {
    this.socket.write(encodeFrame(message));
  }

  /** The next message of this type; others are skipped. */
  async next(type: string): Promise<Record<string, unknown>> {
    for (;;) {
      const { value } = await this.#messages.next();
      if (value === undefined) throw new Error(`the agent closed the socket instead of sending ${type}`);
      if (value['type'] === type) return value;
    }
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}

async function* messagesOf(socket: Socket): AsyncGenerator<Record<string, unknown>, void> {
  const decoder = new FrameDecoder();
  for await (const piece of socket) yield* decoder.push(piece as Buffer) as Generator<Record<string, unknown>>;
}
