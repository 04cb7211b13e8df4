/** A user at a terminal, for tests: types, and waits for text on the screen. */
import { PassThrough } from 'node:stream';
import { type ExecOptions, type ExecResult, type GuestChannel, type GuestCommand } from '../../qemu/channel';

const SEE_LIMIT_MS = 10_000;
const SCREEN = { columns: 80, rows: 24 };

/** A command on a terminal. */
export class Sitting {
  readonly #keys = new PassThrough();
  readonly #command: GuestCommand;
  #unread = '';
  #wake: () => void = () => undefined;

  constructor(channel: GuestChannel, argv: readonly string[], options: ExecOptions = {}) {
    const onStdout = (chunk: Buffer): void => {
      this.#unread += chunk.toString();
      this.#wake();
    };
    const env = { PS1: '> ', TERM: 'dumb', ENV: '', ...options.env };
    this.#command = channel.start(argv, {
      timeoutMs: 60_000,
      terminal: SCREEN,
      ...options,
      env,
      stdin: this.#keys,
      onStdout,
    });
    this.result.catch(() => undefined).finally(() => this.#wake());
  }

  get result(): Promise<ExecResult> {
    return this.#command.result;
  }

  get command(): GuestCommand {
    return this.#command;
  }

  type(text: string): this {
    this.#keys.write(text);
    return this;
  }

  /** Waits until the screen shows the pattern, passes over all up to it, and gives the first group or the match. */
  async see(pattern: RegExp): Promise<string> {
    const limit = AbortSignal.timeout(SEE_LIMIT_MS);
    limit.addEventListener('abort', () => this.#wake());
    let ended = false;
    void this.result.catch(() => undefined).then(() => (ended = true));
    for (;;) {
      const match = pattern.exec(this.#unread);
      if (match !== null) {
        this.#unread = this.#unread.slice(match.index + match[0].length);
        return match[1] ?? match[0];
      }
      const unseen = `${pattern.source} has not been shown, but ${JSON.stringify(this.#unread)}`;
      if (ended) throw new Error(`the command has ended; ${unseen}`);
      if (limit.aborted) throw new Error(`within ${SEE_LIMIT_MS} ms, ${unseen}`);
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}
