/**
 * The sender's side of flow control: how many bytes of one request can be sent before the receiver's next credit.
 *
 * Source: qemu/channel/protocol.ts, "Flow control".
 */
import { WINDOW_BYTES } from './protocol';

export class SendWindow {
  #freeBytes: number;
  #closed = false;
  #wake: (() => void) | undefined;

  constructor(sizeBytes = WINDOW_BYTES) {
    this.#freeBytes = sizeBytes;
  }

  /**
   * Takes `sizeBytes` out of the window, and waits for credit if necessary. False: closed, send nothing more. Only one
   * caller may wait at a time.
   */
  async take(sizeBytes: number): Promise<boolean> {
    while (!this.#closed && this.#freeBytes < sizeBytes) {
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    if (this.#closed) return false;
    this.#freeBytes -= sizeBytes;
    return true;
  }

  credit(sizeBytes: number): void {
    this.#freeBytes += sizeBytes;
    this.#wake?.();
  }

  /** Ends sending. A waiting `take` returns false. */
  close(): void {
    this.#closed = true;
    this.#wake?.();
  }
}
