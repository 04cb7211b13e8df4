/**
 * The sender's half of the flow control: how many bytes of one request may still be sent before the receiver's next credit.
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

  /** Takes `sizeBytes` out of the window, waiting for credit if need be. False: closed, send nothing more. One waiter at a time. */
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

  /** Nothing more is to be sent; a waiter is told so. */
  close(): void {
    this.#closed = true;
    this.#wake?.();
  }
}
