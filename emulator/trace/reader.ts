/** Reads a trace from a file: event by event, whole or cut off, finished or still being written. */
import { closeSync, openSync, readSync } from 'node:fs';
import * as msgpack from 'msgpack-lite';
import { type TraceEvent } from './event';
import { decodeEvents, headerOf, type TraceHeader } from './format';

const CHUNK_BYTES = 1 << 20;

export class TraceReader implements Disposable {
  readonly header: TraceHeader;
  readonly #fd: number;
  readonly #decoder = msgpack.Decoder();
  #values: unknown[] = [];
  #at = 0;

  /** @throws TraceFormatError when the file is no trace; what opening it throws */
  constructor(readonly path: string) {
    this.#fd = openSync(path, 'r');
    this.#decoder.on('data', (value: unknown) => this.#values.push(value));
    try {
      while (this.#values.length === 0 && this.#readOn());
      this.header = headerOf(this.#values.shift() ?? null, path);
    } catch (error) {
      closeSync(this.#fd);
      throw error;
    }
  }

  /** The events that have not been read yet, up to what is in the file now; can be called again when the file has grown. */
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

export interface Trace {
  readonly header: TraceHeader;
  readonly events: readonly TraceEvent[];
  /** The recording ended in good order; else the run was killed, or is still going on. */
  readonly isEnded: boolean;
}

/** A whole trace, in memory. */
export function readTrace(path: string): Trace {
  using reader = new TraceReader(path);
  const events = [...reader.events()];
  return { header: reader.header, events, isEnded: events.at(-1)?.kind === 'end' };
}
