/** The commands of one test: started in its guest, kept for its report, and ended with it. */
import { type ExecResult, type GuestCommand, GuestRequestError } from '../qemu/channel/index.ts';
import { explainSignal, type Guest, type RunOptions } from '../qemu/launch/index.ts';
import { withFrames } from './caller.ts';
import { refuseUnknownOptions } from './options.ts';
import { endOf } from './matchers/commands.ts';

/** Shorter than the limit of a test, so that the timeout of the command is reported. */
const DEFAULT_TIMEOUT_MS = 30_000;

const OPTIONS: Readonly<Record<keyof Required<RunOptions>, true>> = {
  env: true,
  cwd: true,
  stdin: true,
  timeoutMs: true,
  onStdout: true,
  onStderr: true,
  collect: true,
  terminal: true,
  host: true,
  marked: true,
};

/** How a command has ended, and what it has printed. */
export interface CommandResult extends ExecResult {
  /** The command line. */
  readonly command: string;
  /** What explains its end, if something does. */
  readonly explanation?: string;
}

/** A running command. */
export interface TestCommand extends Omit<GuestCommand, 'result'> {
  readonly result: Promise<CommandResult>;
}

interface CommandRecord {
  readonly command: string;
  readonly startedMs: number;
  /** Present while it runs. */
  running?: TestCommand;
  /** How it ended. */
  outcome?: string;
}

export class TestCommands {
  readonly #records: CommandRecord[] = [];

  constructor(private readonly guest: Guest) {}

  /** `caller`: the frames of the test, for errors. */
  async start(argv: readonly string[], options: RunOptions, caller: readonly string[]): Promise<TestCommand> {
    refuseUnknownOptions('A command in the guest', options, OPTIONS);
    const record: CommandRecord = { command: argv.join(' '), startedMs: performance.now() };
    this.#records.push(record);
    const failed = async (error: Error): Promise<never> => {
      record.outcome = `failed: ${error.message.split('\n')[0]}`;
      if (isNotFound(error) && isRelative(argv[0])) {
        error.message += `: it was looked for in ${await this.#folderOf(options)}, the working directory`;
      }
      throw withFrames(caller, error);
    };
    const started = await this.guest.start(argv, { timeoutMs: DEFAULT_TIMEOUT_MS, ...options }).catch(failed);
    const result = started.result
      .then((ended) => {
        record.outcome = endOf(ended);
        const explanation = explainSignal(ended, this.guest);
        return { ...ended, command: record.command, ...(explanation !== undefined && { explanation }) };
      }, failed)
      .finally(() => delete record.running);
    result.catch(() => {}); // it may not be awaited at once
    return (record.running = { ...started, result });
  }

  /** Where a command with these options starts. */
  async #folderOf(options: RunOptions): Promise<string> {
    const { host = true, ...others } = options;
    const { cwd = '/' } = host ? await this.guest.onHostFolders(others).catch(() => options) : options;
    return cwd;
  }

  /** The last ones, oldest first, each with how it ended. */
  tail(count: number): string[] {
    return this.#records.slice(-count).map(({ command, startedMs, outcome }) => {
      return `${command}: ${outcome ?? `still running after ${Math.round(performance.now() - startedMs)} ms`}`;
    });
  }

  /** Kills what still runs, and waits until it has ended. */
  async end(): Promise<void> {
    const running = this.#records.flatMap((record) => record.running ?? []);
    for (const command of running) command.signal('SIGKILL');
    await Promise.allSettled(running.map(({ result }) => result));
  }
}

const isNotFound = (error: Error): boolean => error instanceof GuestRequestError && error.code === 'ENOENT';
/** As execvp does: a name without a slash is looked for in PATH. */
const isRelative = (program = ''): boolean => program.includes('/') && !program.startsWith('/');
