/**
 * A command in the guest: its options, its output and its result.
 *
 * Source: qemu/channel/protocol.ts, `exec`.
 */
import { constants } from 'node:os';
import { type Readable } from 'node:stream';
import { type AgentAnswer, type Exchange } from './exchange';
import { type ExitedMessage, type HostMessage, type TerminalSize } from './protocol';

/** Receives a piece of output. Back-pressure is applied to the command while a returned promise is pending. */
export type OutputSink = (chunk: Buffer) => void | Promise<void>;

/** How a command is run in the guest. */
export interface ExecOptions {
  /** Added to the agent's environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Folder in the guest that is the command's `/`. */
  readonly root?: string;
  /** Default: `/` below `root`, or the agent's own folder. */
  readonly cwd?: string;
  /**
   * Runs the command on a terminal of this size, as a shell with job control needs: all output goes to stdout, input is
   * as if typed, and the end of input types ^D. The caller sets TERM in `env`. Default: pipes.
   */
  readonly terminal?: TerminalSize;
  /** Standard input. Default: /dev/null. */
  readonly stdin?: Uint8Array | Readable;
  /**
   * Time limit, after which the agent kills the command's session and the result has `timedOut`. Default: 60 s.
   * Infinity: no limit.
   */
  readonly timeoutMs?: number;
  readonly onStdout?: OutputSink;
  readonly onStderr?: OutputSink;
  /** False: output only goes to the sinks, and the buffers in the result are empty. Default: true. */
  readonly collect?: boolean;
}

/** How a command in the guest has ended, and what it has printed. */
export interface ExecResult {
  /** Absent if a signal ended the command. */
  readonly exitCode?: number;
  /** Name of the signal that ended the command. */
  readonly signal?: string;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
  readonly timedOut: boolean;
  /**
   * If `timedOut`: what the command's processes were doing then, as "cat (process 12, state D) at uio_read from …": name,
   * process id, state (proc_pid_stat(5)), and the kernel's functions in which it waited, innermost first.
   */
  readonly processes?: string;
  /** Run time by the guest's clock. */
  readonly durationMs: number;
}

/** A command in the guest that may still be running. */
export interface GuestCommand {
  readonly result: Promise<ExecResult>;
  /**
   * Sends a signal to the command's process group, or SIGKILL to its whole session. No effect once the command has
   * ended. @throws RangeError for an unknown signal
   */
  signal(name: NodeJS.Signals): void;
  /**
   * Changes the size of the terminal. No effect once the command has ended. @throws Error for a command without a
   * terminal
   */
  resize(size: TerminalSize): void;
}

const DEFAULT_TIMEOUT_MS = 60_000;
const MAX_TERMINAL_SIDE = 65_535;
/** How long after the agent's own time limit the host waits for its report. */
const REPORT_GRACE_MS = 15_000;

export function startCommand(
  exchange: Exchange<ExecResult>,
  argv: readonly string[],
  options: ExecOptions,
): GuestCommand {
  const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  const output = new CommandOutput(exchange, options);
  const signal = (name: NodeJS.Signals): void => {
    if (constants.signals[name] === undefined)
      throw new RangeError(`Cannot send the signal '${name}': there is no signal of this name`);
    if (!exchange.settled) void exchange.send({ type: 'signal', id: exchange.id, signal: name });
  };
  const resize = (size: TerminalSize): void => {
    if (options.terminal === undefined)
      throw new Error(`${exchange.what}: cannot resize the terminal, since the command was started without one`);
    if (!exchange.settled) void exchange.send({ type: 'resize', id: exchange.id, ...checkedSize(size) });
  };
  const giveUp = (reason: Error): void => {
    if (exchange.settled) return;
    signal('SIGKILL');
    exchange.fail(reason);
  };
  exchange.onAnswer = (answer) => void output.receive(answer).catch(giveUp);
  exchange.limit(timeoutMs + REPORT_GRACE_MS, () => {
    const limits = `its limit of ${timeoutMs} ms and ${REPORT_GRACE_MS} ms more`;
    const why =
      output.processes === undefined
        ? 'the guest hangs, or sleeps and is not woken (docs/limits.md#suspend)'
        : `it was killed at its limit and has not ended. Its processes were then: ${output.processes}`;
    return new Error(`${exchange.what}: the guest agent did not report the command's end within ${limits}: ${why}`);
  });
  try {
    void exchange.send(execMessage(exchange.id, argv, options, timeoutMs));
    if (options.stdin !== undefined) exchange.feed(options.stdin).catch(giveUp);
  } catch (error) {
    exchange.fail(error as Error);
  }
  return { result: exchange.result, signal, resize };
}

function checkedSize({ columns, rows }: TerminalSize): TerminalSize {
  for (const count of [columns, rows]) {
    if (!Number.isInteger(count) || count < 0 || count > MAX_TERMINAL_SIDE) {
      throw new RangeError(
        `a terminal cannot have ${columns} columns and ${rows} rows: each must be 0 to ${MAX_TERMINAL_SIDE}`,
      );
    }
  }
  return { columns, rows };
}

function execMessage(id: number, argv: readonly string[], options: ExecOptions, timeoutMs: number): HostMessage {
  return {
    type: 'exec',
    id,
    argv: [...argv],
    stdin: options.stdin !== undefined,
    ...(options.terminal === undefined ? {} : { terminal: true, ...checkedSize(options.terminal) }),
    ...(options.env === undefined ? {} : { env: { ...options.env } }),
    ...(options.root === undefined ? {} : { root: options.root }),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(Number.isFinite(timeoutMs) ? { timeoutMs: Math.max(1, Math.ceil(timeoutMs)) } : {}),
  };
}

/** The output of a command so far, and its end. Output is credited when its sink has processed it. */
class CommandOutput {
  readonly #collected = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
  /** Sinks get their pieces one at a time and in order, and the result comes after the last one. */
  #delivered: Promise<void> = Promise.resolve();
  /** What the command's processes were doing at its time limit. */
  processes: string | undefined;

  constructor(
    private readonly exchange: Exchange<ExecResult>,
    private readonly options: ExecOptions,
  ) {}

  receive(answer: AgentAnswer): Promise<void> {
    this.#delivered = this.#delivered.then(() => this.#deliver(answer));
    return this.#delivered;
  }

  async #deliver(answer: AgentAnswer): Promise<void> {
    if (answer.type === 'late') this.processes = answer.processes;
    if (answer.type === 'exited') this.exchange.finish(this.#result(answer));
    if (answer.type !== 'output' || answer.stream === 'file') return;
    const sink = answer.stream === 'stdout' ? this.options.onStdout : this.options.onStderr;
    if (this.options.collect ?? true) this.#collected[answer.stream].push(answer.data);
    await sink?.(answer.data);
    this.exchange.consumed(answer.data);
  }

  #result({ exitCode, signal, timedOut, durationMs }: ExitedMessage): ExecResult {
    return {
      ...(exitCode === undefined ? {} : { exitCode }),
      ...(signal === undefined ? {} : { signal }),
      stdout: Buffer.concat(this.#collected.stdout),
      stderr: Buffer.concat(this.#collected.stderr),
      timedOut,
      ...(timedOut && this.processes && { processes: this.processes }),
      durationMs,
    };
  }
}
