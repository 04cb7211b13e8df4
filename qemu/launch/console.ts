/** The guest's console as it is written: passed on line by line, its end kept, and watched for the kernel's death. */
import { createInterface } from 'node:readline';
import { type Readable } from 'node:stream';
import { fatalReason } from './panic';

const KEPT_LINES = 1000;

/** Escape sequences of terminals, and other control characters but the tabulator. */
const CONTROLS = /\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]/g;

export const cleanLine = (line: string) => line.replace(CONTROLS, '');

export interface ConsoleHooks {
  readonly onLine?: (line: string) => void;
  /** Called once, at the first line that tells of the kernel's death; more lines are to come. */
  readonly onFatal: () => void;
}

export class GuestConsole {
  private readonly kept: string[] = [];
  private isFatal = false;

  constructor(private readonly hooks: ConsoleHooks) {}

  /** Reads the stream to its end; resolves then. */
  async read(stream: Readable): Promise<void> {
    const lines = createInterface({ input: stream, crlfDelay: Infinity });
    lines.on('line', (line) => this.take(cleanLine(line)));
    stream.once('close', () => lines.close());
    await new Promise<void>((resolve) => lines.once('close', resolve));
  }

  /** The last lines, oldest first. */
  tail(count = KEPT_LINES): string[] {
    return this.kept.slice(-count);
  }

  private take(line: string): void {
    this.kept.push(line);
    if (this.kept.length > KEPT_LINES) this.kept.shift();
    this.hooks.onLine?.(line);
    if (!this.isFatal && fatalReason(line) !== undefined) {
      this.isFatal = true;
      this.hooks.onFatal();
    }
  }
}
