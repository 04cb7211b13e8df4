/**
 * The guest's console, read live from the file that QEMU writes: passed on line by line, its end kept, and watched for
 * the kernel's death.
 *
 * A file and not a socket: the guest never waits for us to read, and the log is whole whatever becomes of us. (QEMU's
 * socket with a log file beside it writes a byte twice to the log whenever the socket is full.)
 */
import { closeSync, type FSWatcher, openSync, readSync, watch } from 'node:fs';
import { StringDecoder } from 'node:string_decoder';
import { fatalReason, type Panic } from './panic';

const KEPT_LINES = 1000;
/** Enough to hold the kernel's trace, few enough to read. */
const QUOTED_LINES = 60;
const READ_BYTES = 64 * 1024;

/** Escape sequences of terminals, and other control characters but the tabulator. */
const CONTROLS = /\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0a-\x1f\x7f]/g;

export interface ConsoleHooks {
  readonly onLine?: (line: string) => void;
  /** Called once, at the first line that tells of the kernel's death; its trace is still to come. */
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

  /** Makes the file, empty, which QEMU then writes to: an earlier attempt may have left one. */
  constructor(
    path: string,
    private readonly hooks: ConsoleHooks,
  ) {
    this.fd = openSync(path, 'w+', 0o600);
    this.watcher = watch(path, () => this.read());
  }

  /** The kernel's death, as far as it has been told. */
  get panic(): Panic | undefined {
    return this.fatal;
  }

  /** The last lines, oldest first. */
  tail(count = KEPT_LINES): string[] {
    return this.kept.slice(-count);
  }

  /** Takes everything that has been written. */
  read(): void {
    if (this.isFinished) return;
    for (let bytes = this.readSome(); bytes > 0; bytes = this.readSome()) {
      const lines = (this.unfinished + this.decoder.write(this.buffer.subarray(0, bytes))).split('\n');
      this.unfinished = lines.pop() ?? '';
      for (const line of lines) this.take(line);
    }
  }

  /** Takes what is left, an unfinished line too: nothing more will be written. */
  finish(): void {
    if (this.isFinished) return;
    this.read();
    this.isFinished = true;
    if (this.unfinished !== '') this.take(this.unfinished);
    this.watcher.close();
    closeSync(this.fd);
  }

  /** QEMU empties the file when it opens it, which is before anything is in it: our position is always right. */
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
