/** Runs a command in the guest, with its streams connected to ours, and finds the exit code for its end. */
import { once } from 'node:events';
import { constants } from 'node:os';
import { type ExecResult, GuestRequestError } from '../../qemu/channel';
import { explainSignal, type Guest, GuestPanicError, QemuExitedError, type RunOptions } from '../../qemu/launch';
import { EXIT } from '../common/errors';
import { HostTerminal } from './host-terminal';
import { standardOutput } from '../common/own-process';

export interface GuestCommandOptions {
  readonly env: Readonly<Record<string, string>>;
  readonly timeoutS: number | undefined;
  /** Give it the user's terminal. */
  readonly terminal: boolean;
  /** Keep its output for the outcome, instead of passing it on. */
  readonly collect: boolean;
}

export interface Outcome {
  /** Of ghostcard. */
  readonly exitCode: number;
  /** Why the command has no exit code of its own. */
  readonly error?: string;
  /** Of a command that has run. */
  readonly result?: ExecResult;
}

/** Runs it. A command that cannot be started, and a guest that dies, are outcomes too. */
export async function runInGuest(
  guest: Guest,
  argv: readonly string[],
  options: GuestCommandOptions,
): Promise<Outcome> {
  const { env, timeoutS, collect } = options;
  const common: RunOptions = { env, timeoutMs: timeoutS === undefined ? Infinity : timeoutS * 1000 };
  try {
    const result = options.terminal ? await onTerminal(guest, argv, common) : await piped(guest, argv, common, collect);
    const error = await whyEnded(guest, result, timeoutS);
    return { exitCode: exitCodeOf(result), ...(error !== undefined && { error }), result };
  } catch (error) {
    const exitCode = exitCodeOfFailure(error);
    if (exitCode === undefined) throw error;
    return { exitCode, error: (error as Error).message };
  } finally {
    process.stdin.destroy();
  }
}

/** Undefined when it has ended by itself. */
async function whyEnded(guest: Guest, result: ExecResult, timeoutS: number | undefined): Promise<string | undefined> {
  if (result.timedOut) {
    const doing = result.processes === undefined ? '' : `; its processes were then: ${result.processes}`;
    return `the command was ended after ${timeoutS} s (--timeout)${doing}`;
  }
  const explanation = explainSignal(result, guest);
  if (result.signal === undefined) return explanation;
  const how = `the command was ended by ${result.signal}`;
  return [how, ...(explanation === undefined ? [] : [explanation]), ...(await kernelOnCrashes(guest))].join('\n  ');
}

function piped(guest: Guest, argv: readonly string[], options: RunOptions, collect: boolean): Promise<ExecResult> {
  return guest.run(argv, {
    ...options,
    ...(!process.stdin.isTTY && { stdin: process.stdin }),
    ...(!collect && {
      collect: false,
      onStdout: (chunk: Buffer) => write(standardOutput, chunk),
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
    onStdout: (chunk) => write(standardOutput, chunk),
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

/**
 * What the kernel logs about a program that it ends; see arch/x86/mm/fault.c, arch/x86/kernel/traps.c,
 * arch/arm64/kernel/traps.c, mm/oom_kill.c.
 */
const KERNEL_ON_CRASHES =
  /\[\d+\]: segfault at |\[\d+\]: unhandled exception: |traps: .+\[\d+\] |Out of memory: Killed process /;
const LOG_TIMEOUT_MS = 5000;
const SHOWN_LINES = 3;

/** The last lines that the guest's kernel has logged about programs that it ended. */
async function kernelOnCrashes(guest: Guest): Promise<string[]> {
  const log = await guest.run(['dmesg'], { host: false, marked: false, timeoutMs: LOG_TIMEOUT_MS });
  const lines = log.stdout.toString().split('\n');
  return lines.filter((line) => KERNEL_ON_CRASHES.test(line)).slice(-SHOWN_LINES);
}
