/** One file of a trace: its header, then its events, up to where it has been written. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import * as msgpack from 'msgpack-lite';
import { type TraceEvent } from './event';
import { decodeEvents, headerOf, TraceFormatError, type TraceHeader } from './format';

const CHUNK_BYTES = 1 << 20;

export class TracePart implements Disposable {
  readonly header: TraceHeader;
  /** Identifies the file, whatever its name is by now. */
  readonly inode: number;
  readonly #fd: number;
  readonly #decoder = msgpack.Decoder();
  #values: unknown[] = [];
  #at = 0;
  #events = 0;
  /** Set when what follows the decoded values is not MessagePack. */
  #damage: Error | undefined;

  /** @throws TraceFormatError when the file is not a trace; what opening it throws */
  constructor(private readonly path: string) {
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

  /** The events that have not been read yet, up to the present end of the file; throws where it is damaged. */
  *events(): Generator<TraceEvent> {
    for (;;) {
      const blocks = this.#values;
      this.#values = [];
      for (const block of blocks) {
        const events = this.#eventsIn(block);
        this.#events += events.length;
        yield* events;
      }
      if (this.#values.length > 0 || this.#readOn()) continue;
      if (this.#damage) throw this.#damaged(this.#damage);
      return;
    }
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }

  /** False at the present end of the file. */
  #readOn(): boolean {
    if (this.#damage) return false;
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
    const length = readSync(this.#fd, chunk, 0, CHUNK_BYTES, this.#at);
    this.#at += length;
    try {
      if (length > 0) this.#decoder.decode(chunk.subarray(0, length));
    } catch (error) {
      this.#damage = error as Error;
    }
    return length > 0;
  }

  #eventsIn(block: unknown): TraceEvent[] {
    try {
      return decodeEvents(block);
    } catch (error) {
      throw this.#damaged(error as Error);
    }
  }

  #damaged({ message }: Error): TraceFormatError {
    return new TraceFormatError(`${this.path} cannot be read beyond its first ${this.#events} events: ${message}`);
  }
}
