/**
 * The terminal that ghostcard was started on, handed over to a command in the guest: every key goes there, Ctrl-C and
 * Ctrl-Z too. However this process ends, the mode of the terminal is restored.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { Transform, type TransformCallback } from 'node:stream';
import { type TerminalSize } from '../../qemu/channel';
import { UsageError } from '../common/errors';
import { standardOutput } from '../common/own-process';

/** Ctrl-], as in telnet: this often in a row, it ends the session, whatever the guest is doing. */
const ESCAPE = 0x1d;
const ESCAPES = 3;

export class HostTerminal implements Disposable {
  /** What is typed. */
  readonly input: Transform;
  /** As stty prints it; undefined where there is no stty, and Node's raw mode is used. */
  private readonly mode = stty('-g');
  private readonly keeper = this.mode === undefined ? undefined : keepMode(this.mode);
  private readonly unwrapped = process.stderr.write.bind(process.stderr);
  private onResize: (size: TerminalSize) => void = () => {};

  constructor(onEscape: () => void) {
    this.input = process.stdin.pipe(new EscapeWatch(onEscape));
    standardOutput.on('resize', this.resized);
    process.on('SIGCONT', this.resumed);
    process.stderr.write = this.writeLines as typeof process.stderr.write;
    this.takeOver();
  }

  /** Throws when there is no terminal to hand over. */
  static require(option: string): void {
    const missing = [!process.stdin.isTTY && 'input', !standardOutput.isTTY && 'output'].filter(Boolean);
    if (missing.length === 0) return;
    const cure =
      "run the command without it (its input may come from a pipe), or under a terminal, such as script(1)'s";
    throw new UsageError(`${option} needs a terminal, but there is none on standard ${missing.join(' and ')}: ${cure}`);
  }

  get size(): TerminalSize {
    const { columns = 80, rows = 24 } = standardOutput;
    return { columns: columns || 80, rows: rows || 24 };
  }

  /** Variables that programs need to use it. */
  get environment(): Record<string, string> {
    const { TERM = 'dumb', COLORTERM } = process.env;
    return { TERM, ...(COLORTERM !== undefined && { COLORTERM }) };
  }

  /** Calls back with the new size when the window has changed. */
  follow(onResize: (size: TerminalSize) => void): void {
    this.onResize = onResize;
  }

  [Symbol.dispose](): void {
    process.off('SIGCONT', this.resumed);
    standardOutput.off('resize', this.resized);
    process.stdin.unpipe(this.input);
    process.stderr.write = this.unwrapped;
    this.keeper?.kill('SIGKILL'); // first: later it would disturb the shell that takes over
    if (this.mode === undefined) process.stdin.setRawMode(false);
    else stty(this.mode);
  }

  /** Raw mode: all processing is done by the terminal in the guest. */
  private takeOver(): void {
    if (this.mode === undefined) process.stdin.setRawMode(true);
    else stty('raw', '-echo');
  }

  private readonly resized = (): void => this.onResize(this.size);

  private readonly resumed = (): void => {
    this.takeOver(); // the shell that stopped us has changed it
    this.resized();
  };

  /** For our own messages, and what cards print: in raw mode, a line feed needs a carriage return. */
  private readonly writeLines = (chunk: string | Uint8Array): boolean =>
    this.unwrapped(Buffer.from(chunk).toString().replaceAll(/\r?\n/g, '\r\n'));
}

/** Undefined when it cannot be done. */
function stty(...args: readonly string[]): string | undefined {
  try {
    return execFileSync('stty', args, { stdio: ['inherit', 'pipe', 'ignore'], encoding: 'utf8' }).trim();
  } catch {
    return undefined;
  }
}

/** Starts a process that restores this mode when this process has ended, which it sees by its pipe. */
function keepMode(mode: string): ChildProcess {
  const script = 'cat >/dev/null; exec stty "$1" <&3';
  const keeper = spawn('sh', ['-c', script, 'sh', mode], { stdio: ['pipe', 'ignore', 'ignore', 0], detached: true });
  keeper.on('error', () => {});
  keeper.unref();
  return keeper;
}

class EscapeWatch extends Transform {
  private seen = 0;

  constructor(private readonly onEscape: () => void) {
    super();
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    for (const byte of chunk) {
      this.seen = byte === ESCAPE ? this.seen + 1 : 0;
      if (this.seen === ESCAPES) this.onEscape();
    }
    done(null, chunk);
  }
}
