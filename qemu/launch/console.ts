/**
 * The guest's console, read live from the file that QEMU writes: reported line by line, its last lines kept, and
 * watched for a kernel panic.
 *
 * It is a file and not a socket so that the guest never waits for the runner to read, and the log is complete even if
 * the runner dies. (With a socket and a log file, QEMU writes a byte twice to the log whenever the socket is full.)
 */
import { closeSync, type FSWatcher, openSync, readSync, watch } from 'node:fs';
import { StringDecoder } from 'node:string_decoder';
import { fatalReason, type Panic } from './panic';

const KEPT_LINES = 1000;
/** Enough for the kernel's trace, few enough to read. */
const QUOTED_LINES = 60;
const READ_BYTES = 64 * 1024;

/** Terminal escape sequences, and control characters other than tab. */
const CONTROLS = /\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0a-\x1f\x7f]/g;

export interface ConsoleHooks {
  readonly onLine?: (line: string) => void;
  /** Called once, at the first line of a kernel panic; the trace follows. */
  readonly onFatal: () => void;
}

export class GuestConsole {
  private readonly fd: number;
  private readonly watcher: FSWatcher;
  private readonly buffer = Buffer.alloc(READ_BYTES);
  private readonly decoder = new StringDecoder('utf8');
  private readonly kept: string[] = [];
  private unfinished = '';
  private isFinished = false;
  private fatal: { reason: string; quote: string[] } | undefined;

  /** Creates the file that QEMU writes to, or empties the one of an earlier attempt. */
  constructor(
    path: string,
    private readonly hooks: ConsoleHooks,
  ) {
    this.fd = openSync(path, 'w+', 0o600);
    this.watcher = watch(path, () => this.read());
  }

  /** The kernel panic, as far as it has been written. */
  get panic(): Panic | undefined {
    return this.fatal;
  }

  /** The last lines, oldest first. */
  tail(count = KEPT_LINES): string[] {
    return this.kept.slice(-count);
  }

  /** Reads everything that has been written so far. */
  read(): void {
    if (this.isFinished) return;
    for (let bytes = this.readSome(); bytes > 0; bytes = this.readSome()) {
      const lines = (this.unfinished + this.decoder.write(this.buffer.subarray(0, bytes))).split('\n');
      this.unfinished = lines.pop() ?? '';
      for (const line of lines) this.take(line);
    }
  }

  /** Reads the rest, including an unfinished line. Nothing more will be written. */
  finish(): void {
    if (this.isFinished) return;
    this.read();
    this.isFinished = true;
    if (this.unfinished !== '') this.take(this.unfinished);
    this.watcher.close();
    closeSync(this.fd);
  }

  /** QEMU truncates the file when it opens it, before anything is in it, so the read position is always right. */
  private readSome(): number {
    return readSync(this.fd, this.buffer, 0, READ_BYTES, null);
  }

  private take(text: string): void {
    const line = text.replace(CONTROLS, '');
    this.kept.push(line);
    if (this.kept.length > KEPT_LINES) this.kept.shift();
    this.hooks.onLine?.(line);
    if (this.fatal) {
      if (this.fatal.quote.length < QUOTED_LINES) this.fatal.quote.push(line);
      return;
    }
    const reason = fatalReason(line);
    if (reason === undefined) return;
    this.fatal = { reason, quote: [line] };
    this.hooks.onFatal();
  }
}
