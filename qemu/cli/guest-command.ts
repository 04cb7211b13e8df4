/** A command in the guest, its streams connected to ours, to its end; and the exit code for it. */
import { once } from 'node:events';
import { constants } from 'node:os';
import { type ExecResult, GuestRequestError } from '../channel';
import { type Guest, GuestPanicError, QemuExitedError, type RunOptions } from '../launch';
import { EXIT } from './exit-codes';
import { HostTerminal } from './host-terminal';

export interface GuestCommandOptions {
  readonly env: Readonly<Record<string, string>>;
  readonly timeoutS: number | undefined;
  /** Hands our terminal over to it. */
  readonly terminal: boolean;
  /** Keeps its output for one JSON object at the end, which has these members too. */
  readonly json: object | undefined;
  readonly say: (text: string) => void;
}

/** Resolves with the exit code that says how it went. */
export async function runInGuest(guest: Guest, argv: readonly string[], options: GuestCommandOptions): Promise<number> {
  const { env, timeoutS, json, say } = options;
  const common: RunOptions = { env, timeoutMs: timeoutS === undefined ? Infinity : timeoutS * 1000 };
  try {
    const result = options.terminal ? await onTerminal(guest, argv, common) : await piped(guest, argv, common, json);
    const exitCode = exitCodeOf(result);
    if (json !== undefined) {
      const { stdout, stderr, ...rest } = result;
      const outcome = { ...rest, exitCode, stdout: stdout.toString(), stderr: stderr.toString(), ...json };
      await write(process.stdout, `${JSON.stringify(outcome)}\n`);
    } else if (result.timedOut) {
      say(`the command was ended after ${timeoutS} s (--timeout)`);
    } else if (result.signal !== undefined) {
      say([`the command was ended by ${result.signal}`, ...(await kernelOnFaults(guest))].join('\n  '));
    }
    return exitCode;
  } catch (error) {
    const code = exitCodeOfFailure(error);
    if (code === undefined) throw error;
    console.error(`ghostcard: ${(error as Error).message}`);
    return code;
  } finally {
    process.stdin.destroy();
  }
}

function piped(guest: Guest, argv: readonly string[], options: RunOptions, json: unknown): Promise<ExecResult> {
  return guest.run(argv, {
    ...options,
    ...(!process.stdin.isTTY && { stdin: process.stdin }),
    ...(json === undefined && {
      collect: false,
      onStdout: (chunk: Buffer) => write(process.stdout, chunk),
      onStderr: (chunk: Buffer) => write(process.stderr, chunk),
    }),
  });
}

async function onTerminal(guest: Guest, argv: readonly string[], options: RunOptions): Promise<ExecResult> {
  using terminal = new HostTerminal(() => process.kill(process.pid, 'SIGINT'));
  const command = await guest.start(argv, {
    ...options,
    env: { ...terminal.environment, ...options.env },
    terminal: terminal.size,
    stdin: terminal.input,
    collect: false,
    onStdout: (chunk) => write(process.stdout, chunk),
  });
  terminal.follow((size) => command.resize(size));
  return await command.result;
}

/** Writes a piece and, when the reader is slow, waits until it has caught up. */
async function write(stream: NodeJS.WriteStream, chunk: Buffer | string): Promise<void> {
  if (!stream.write(chunk)) await once(stream, 'drain');
}

function exitCodeOf({ exitCode, signal, timedOut }: ExecResult): number {
  if (timedOut) return EXIT.TIMED_OUT;
  if (signal !== undefined) return EXIT.SIGNAL + (constants.signals[signal as NodeJS.Signals] ?? 0);
  return exitCode ?? EXIT.GHOSTCARD;
}

function exitCodeOfFailure(error: unknown): number | undefined {
  if (error instanceof GuestPanicError || error instanceof QemuExitedError) return EXIT.GUEST_DIED;
  if (error instanceof GuestRequestError) return EXIT.NOT_STARTED;
  return undefined;
}

/** How the kernel tells of a program that it ends; see arch/x86/mm/fault.c, arch/x86/kernel/traps.c, mm/oom_kill.c. */
const KERNEL_ON_FAULTS = /\[\d+\]: segfault at |traps: .+\[\d+\] |Out of memory: Killed process /;
const LOG_TIMEOUT_MS = 5000;
const SHOWN_LINES = 3;

/** What the guest's kernel has said of programs that it ended, the last of it. */
async function kernelOnFaults(guest: Guest): Promise<string[]> {
  const log = await guest.run(['dmesg'], { host: false, timeoutMs: LOG_TIMEOUT_MS });
  const lines = log.stdout.toString().split('\n');
  return lines.filter((line) => KERNEL_ON_FAULTS.test(line)).slice(-SHOWN_LINES);
}
