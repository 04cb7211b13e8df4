/**
 * The terminal that ghostcard was started on, handed over to a command in the guest: every key goes there, Ctrl-C and
 * Ctrl-Z too. However this process ends, the terminal is as it was before.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { Transform, type TransformCallback } from 'node:stream';
import { type TerminalSize } from '../channel';
import { UsageError } from './usage-error';

/** Ctrl-], as in telnet: so often in a row, it ends the session, whatever the guest is doing. */
const ESCAPE = 0x1d;
const ESCAPES = 3;

export class HostTerminal implements Disposable {
  /** What is typed. */
  readonly input: Transform;
  private readonly keeper: ChildProcess | undefined;
  private readonly resized: () => void;
  private readonly resumed: () => void;
  private onResize: (size: TerminalSize) => void = () => {};

  /** Takes the terminal over; `option` is what asked for it. */
  constructor(onEscape: () => void) {
    this.keeper = keepMode();
    this.input = process.stdin.pipe(new EscapeWatch(onEscape));
    this.resized = () => this.onResize(this.size);
    this.resumed = () => {
      process.stdin.setRawMode(true); // whoever stopped us has changed it
      this.resized();
    };
    process.stdout.on('resize', this.resized);
    process.on('SIGCONT', this.resumed);
    process.stdin.setRawMode(true);
  }

  /** Throws when there is no terminal to hand over. */
  static require(option: string): void {
    const missing = [!process.stdin.isTTY && 'input', !process.stdout.isTTY && 'output'].filter(Boolean);
    if (missing.length === 0) return;
    const cure =
      "run the command without it (its input may come from a pipe), or under a terminal, such as script(1)'s";
    throw new UsageError(`${option} needs a terminal, and standard ${missing.join(' and ')} is none: ${cure}`);
  }

  get size(): TerminalSize {
    const { columns = 80, rows = 24 } = process.stdout;
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
    process.stdout.off('resize', this.resized);
    process.stdin.unpipe(this.input);
    this.keeper?.kill('SIGKILL'); // first: what it would do later is in the way of the shell that comes after us
    process.stdin.setRawMode(false);
  }
}

/** A process that puts the terminal back into its present mode when we are gone: our end of its pipe breaks. */
function keepMode(): ChildProcess | undefined {
  try {
    const mode = execFileSync('stty', ['-g'], { stdio: ['inherit', 'pipe', 'ignore'], encoding: 'utf8' }).trim();
    const script = 'cat >/dev/null; exec stty "$1" <&3';
    const keeper = spawn('sh', ['-c', script, 'sh', mode], { stdio: ['pipe', 'ignore', 'ignore', 0], detached: true });
    keeper.on('error', () => {});
    keeper.unref();
    return keeper;
  } catch {
    return undefined; // no stty here: Node restores the mode at every end but SIGKILL
  }
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
