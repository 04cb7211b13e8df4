/** One file of a trace: its header, then its events, up to where it has been written. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import * as msgpack from 'msgpack-lite';
import { type TraceEvent } from './event';
import { decodeEvents, headerOf, type TraceHeader } from './format';

const CHUNK_BYTES = 1 << 20;

export class TracePart implements Disposable {
  readonly header: TraceHeader;
  /** Which file it is, whatever it is called by now. */
  readonly inode: number;
  readonly #fd: number;
  readonly #decoder = msgpack.Decoder();
  #values: unknown[] = [];
  #at = 0;

  /** @throws TraceFormatError when the file is no trace; what opening it throws */
  constructor(path: string) {
    this.#fd = openSync(path, 'r');
    this.#decoder.on('data', (value: unknown) => this.#values.push(value));
    try {
      this.inode = fstatSync(this.#fd).ino;
      while (this.#values.length === 0 && this.#readOn());
      this.header = headerOf(this.#values.shift() ?? null, path);
    } catch (error) {
      closeSync(this.#fd);
      throw error;
    }
  }

  /** The events that have not been read yet, up to what is in the file now. */
  *events(): Generator<TraceEvent> {
    for (;;) {
      const blocks = this.#values;
      this.#values = [];
      for (const block of blocks) yield* decodeEvents(block);
      if (this.#values.length === 0 && !this.#readOn()) return;
    }
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }

  /** False at the end of what is there. */
  #readOn(): boolean {
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
    const length = readSync(this.#fd, chunk, 0, CHUNK_BYTES, this.#at);
    this.#at += length;
    if (length > 0) this.#decoder.decode(chunk.subarray(0, length));
    return length > 0;
  }
}
