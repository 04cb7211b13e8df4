/** The commands of one test: started in its guest, remembered for its report, and ended with it. */
import { type ExecResult, type GuestCommand } from '../channel';
import { type Guest, type RunOptions } from '../launch';
import { endOf } from './matchers/commands';

/** Shorter than the limit of a test, so that it is the command's end that is reported. */
const DEFAULT_TIMEOUT_MS = 30_000;

export interface CommandResult extends ExecResult {
  /** As it was run. */
  readonly command: string;
}

/** A command that runs. */
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

  async start(argv: readonly string[], options: RunOptions): Promise<TestCommand> {
    const record: CommandRecord = { command: argv.join(' '), startedMs: performance.now() };
    this.#records.push(record);
    const failed = (error: Error): never => {
      record.outcome = `failed: ${error.message.split('\n')[0]}`;
      throw error;
    };
    const started = await this.guest.start(argv, { timeoutMs: DEFAULT_TIMEOUT_MS, ...options }).catch(failed);
    const result = started.result
      .then((ended) => {
        record.outcome = endOf(ended);
        return { ...ended, command: record.command };
      }, failed)
      .finally(() => delete record.running);
    result.catch(() => {}); // whoever started it may not wait for it at once
    return (record.running = { ...started, result });
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
