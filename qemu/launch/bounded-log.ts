/**
 * A log that another process appends to, kept small: QEMU says two lines for each access of a card whose process is gone,
 * and a driver that polls would fill the disk with them. The beginning stays, which has the cause, and the end.
 */
import { appendFileSync, closeSync, openSync, statSync, truncateSync } from 'node:fs';

const MOST_BYTES = 4 << 20;
const KEPT_BYTES = 64 << 10;
const LOOK_EVERY_MS = 1000;

export class BoundedLog {
  readonly #timer: NodeJS.Timeout;

  constructor(private readonly path: string) {
    closeSync(openSync(path, 'w', 0o600));
    this.#timer = setInterval(() => this.bound(), LOOK_EVERY_MS).unref();
  }

  /** For the other process: what it writes goes to the end, wherever that is. */
  open(): number {
    return openSync(this.path, 'a');
  }

  bound(): void {
    const size = statSync(this.path, { throwIfNoEntry: false })?.size ?? 0;
    if (size <= MOST_BYTES) return;
    truncateSync(this.path, KEPT_BYTES);
    appendFileSync(this.path, `\n[ghostcard: ${size - KEPT_BYTES} bytes are left out here]\n`);
  }

  /** The other process has ended. */
  close(): void {
    clearInterval(this.#timer);
    this.bound();
  }
}
