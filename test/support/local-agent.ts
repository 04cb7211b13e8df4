/**
 * For tests: the real agent, compiled and run as an ordinary process on this machine, reached over a UNIX socket.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const GUEST_TOOLS = resolve(__dirname, '../../guest-tools');
const START_LIMIT_MS = 10_000;
const markProgramIn = (folder: string): string => join(folder, 'bin', 'gc-mark');

export class LocalAgent implements AsyncDisposable {
  private constructor(
    /** A folder of its own, which is removed with it. */
    readonly folder: string,
    readonly process: ChildProcess,
    readonly socketPath: string,
  ) {}

  /** With `gc-mark` only on request, since that compiles the library. */
  static async start({ withMarks = false } = {}): Promise<LocalAgent> {
    const folder = mkdtempSync(join(tmpdir(), 'ghostcard-agent-'));
    const program = join(folder, 'agent');
    const programs = [program, ...(withMarks ? [markProgramIn(folder)] : [])];
    execFileSync('make', ['-s', '-C', GUEST_TOOLS, `OUT=${folder}`, ...programs], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const socketPath = join(folder, 'agent.sock');
    const child = spawn(program, ['--listen', socketPath], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(child.stdout, 'data', { signal: AbortSignal.timeout(START_LIMIT_MS) }); // "listening on …"
    return new LocalAgent(folder, child, socketPath);
  }

  async connect(): Promise<Socket> {
    const socket = connect(this.socketPath);
    await once(socket, 'connect');
    return socket;
  }

  /** `gc-mark`, for the same machine. */
  get markProgram(): string {
    return markProgramIn(this.folder);
  }

  /** The environment in which programs that the agent has not started find it. */
  get markEnvironment(): Record<string, string> {
    return { GHOSTCARD_AGENT: `ghostcard-agent-${this.process.pid}` };
  }

  get running(): boolean {
    return this.process.exitCode === null && this.process.signalCode === null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.running) {
      const gone = once(this.process, 'exit');
      this.process.kill('SIGKILL');
      await gone;
    }
    rmSync(this.folder, { recursive: true });
  }
}
