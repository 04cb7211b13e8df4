/** The endpoint's own memory, as a transfer sees it: takes anything, has anything, and sums it up. */
import { crc32 } from 'node:zlib';
import { type DataSink, type DataSource } from '../../dma';

const WINDOW_BYTES = 1 << 16;

export class Payload implements DataSink, DataSource {
  readonly #window = new Uint8Array(WINDOW_BYTES);
  readonly #words = new Uint32Array(this.#window.buffer);
  #crc = 0;
  /** Of the pseudo-random bytes, the same in every run. */
  #seed = 1;

  /** CRC-32 of what has passed since `begin`, as the kernel's crc32_le(~0, …) computes it. */
  get checksum(): number {
    return ~this.#crc >>> 0;
  }

  begin(): void {
    this.#crc = 0;
  }

  reserve(_cardAddress: number, maxBytes: number): Uint8Array {
    return this.#window.subarray(0, Math.min(maxBytes, WINDOW_BYTES));
  }

  commit(bytes: number): void {
    this.#crc = crc32(this.#window.subarray(0, bytes), this.#crc);
  }

  /** Xorshift (Marsaglia, 2003). */
  peek(_cardAddress: number, maxBytes: number): Uint8Array {
    const window = this.reserve(0, maxBytes);
    for (let word = 0; word * 4 < window.length; word++) {
      this.#seed ^= this.#seed << 13;
      this.#seed ^= this.#seed >>> 17;
      this.#seed ^= this.#seed << 5;
      this.#words[word] = this.#seed;
    }
    return window;
  }

  consume(bytes: number): boolean {
    this.commit(bytes);
    return false;
  }

  whenReady(callback: () => void): void {
    callback();
  }
}
