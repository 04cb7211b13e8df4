/**
 * The server under test: one that somebody else has started, or a command that is started here and again when it has
 * gone. Its process is found by the socket on which it listens, to count its open descriptors.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Native, type NativeError } from '../../emulator/native';
import { ConformanceError } from './outcome';

/** How the process of a server has ended. */
export interface Ending {
  /** Exit code, or name of the signal. */
  readonly status: number | string;
  /** The end of what it has printed. */
  readonly output: string;
}

export interface Target extends AsyncDisposable {
  readonly socketPath: string;
  /** Whether it can be started again. */
  readonly canRestart: boolean;
  /** Starts it if it does not run. */
  start(): Promise<void>;
  /** Ends it, however it is. */
  stop(): Promise<void>;
  /** How it has ended, if it has; waits up to `timeoutMs` for it. Always undefined for somebody else's. */
  ending(timeoutMs: number): Promise<Ending | undefined>;
}

/** `--socket`: somebody else's. */
export class ListeningTarget implements Target {
  readonly canRestart = false;

  constructor(readonly socketPath: string) {}

  async start(): Promise<void> {}
  async stop(): Promise<void> {}
  async ending(): Promise<undefined> {}
  async [Symbol.asyncDispose](): Promise<void> {}
}

const KEPT_OUTPUT = 2000;
const TERM_MS = 2000;

/** `--spawn`: `{socket}` in the command stands for the path. */
export class SpawnedTarget implements Target {
  readonly canRestart = true;
  readonly socketPath: string;
  readonly #folder: string;
  #child: ChildProcess | undefined;
  #ended: Promise<Ending> | undefined;
  #output = '';

  constructor(
    private readonly command: string,
    private readonly startMs: number,
  ) {
    if (!command.includes('{socket}'))
      throw new ConformanceError(`the command has no {socket}, the place for the path of its socket: ${command}`);
    this.#folder = mkdtempSync(join(tmpdir(), 'ghostcard-conformance-'));
    this.socketPath = join(this.#folder, 'socket');
  }

  async start(): Promise<void> {
    if (this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null) return;
    rmSync(this.socketPath, { force: true });
    // In a group of its own, so that a shell's children end with it; and with this process, however that ends.
    const script = this.command.replaceAll('{socket}', `'${this.socketPath}'`);
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', 'sh', '-c', script], {
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    this.#output = '';
    const keep = (text: Buffer): void => {
      this.#output = (this.#output + text.toString()).slice(-KEPT_OUTPUT);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    this.#ended = once(child, 'exit').then(([code, signal]) => ({
      status: (signal as string | null) ?? statusOf(code as number),
      output: this.#output.trim(),
    }));
    this.#ended.catch(() => {});
    const deadline = performance.now() + this.startMs;
    while (!existsSync(this.socketPath)) {
      const ending = await this.ending(5);
      const shown = this.#output === '' ? '' : `; it printed: ${this.#output.trim()}`;
      if (ending) throw new ConformanceError(`the server ended (${ending.status}) before it made its socket${shown}`);
      if (performance.now() > deadline)
        throw new ConformanceError(`the server has not made its socket within ${this.startMs} ms${shown}`);
    }
  }

  async ending(timeoutMs: number): Promise<Ending | undefined> {
    if (this.#ended === undefined) return undefined;
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<undefined>((resolve) => (timer = setTimeout(() => resolve(undefined), timeoutMs)));
    try {
      return await Promise.race([this.#ended, limit]);
    } finally {
      clearTimeout(timer);
    }
  }

  async stop(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child?.pid === undefined) return;
    signalGroup(child.pid, 'SIGTERM');
    if ((await this.ending(TERM_MS)) === undefined) signalGroup(child.pid, 'SIGKILL');
    await this.#ended;
    signalGroup(child.pid, 'SIGKILL'); // what the shell has left
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** A shell reports a command that a signal has ended by 128 and the signal's number. */
function statusOf(code: number): number | string {
  const name = Object.entries(constants.signals).find(([, number]) => number === code - 128)?.[0];
  return name ?? code;
}

function signalGroup(group: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-group, signal);
  } catch {
    // it has ended
  }
}

/** Connects to a socket, waiting up to `timeoutMs` until somebody listens there. @throws NativeError */
export async function connectTo(native: Native, path: string, timeoutMs: number): Promise<number> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    try {
      return native.connect(path);
    } catch (error) {
      const { code } = error as NativeError;
      const isNotYet = code === 'ECONNREFUSED' || code === 'ENOENT' || code === 'EAGAIN';
      if (!isNotYet || performance.now() > deadline) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/**
 * The process that listens at `path`, by proc(5): /proc/net/unix has the socket's inode, /proc/PID/fd the links to it.
 * Undefined if it cannot be seen, for example because it is another user's.
 */
export function listenerOf(path: string): number | undefined {
  const LISTENING = '00010000';
  const inodes = readFileSync('/proc/net/unix', 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[3] === LISTENING && fields.slice(7).join(' ') === path)
    .map((fields) => `socket:[${fields[6]}]`);
  const processes = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const found = processes.find((pid) => openIn(Number(pid))?.some((target) => inodes.includes(target)));
  return found === undefined ? undefined : Number(found);
}

/** The targets of a process's open descriptors; undefined if they cannot be seen. */
export function openIn(pid: number): string[] | undefined {
  try {
    return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return [readlinkSync(`/proc/${pid}/fd/${fd}`)];
      } catch {
        return []; // closed meanwhile
      }
    });
  } catch {
    return undefined;
  }
}
