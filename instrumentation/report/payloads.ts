/** The bytes of a trace's accesses and DMA, each content once, cut so that the report stays small enough to attach. */
import { hash } from 'node:crypto';
import { type TraceEvent } from '../trace';

const MOST_BYTES = 8 << 20;
/** Longer ones are not compared with others: that would cost more than it saves. */
const MOST_COMPARED_BYTES = 64 << 10;
/** How much is kept of each payload: the first that fits. */
const CUTS = [Infinity, 64 << 10, 4096, 1024, 256, 64];

export class Payloads {
  readonly bytes: Uint8Array;
  /** Where each content begins, and where the last one ends. */
  readonly starts: Uint32Array;
  /** What is kept of each content, if not all. */
  readonly cutBytes: number | undefined;
  readonly #numbers: Int32Array;

  constructor(events: readonly TraceEvent[]) {
    const contents: Uint8Array[] = [];
    const known = new Map<string, number>();
    this.#numbers = Int32Array.from(events, (event) => {
      const data = 'data' in event ? event.data : undefined;
      if (data === undefined) return -1;
      if (data.length > MOST_COMPARED_BYTES) return contents.push(data) - 1;
      const key = data.length <= 32 ? Buffer.from(data).toString('latin1') : hash('sha1', data, 'base64');
      let number = known.get(key);
      if (number === undefined) known.set(key, (number = contents.push(data) - 1));
      return number;
    });
    const sizeAt = (cut: number) => contents.reduce((sum, { length }) => sum + Math.min(length, cut), 0);
    const cut = CUTS.find((each) => sizeAt(each) <= MOST_BYTES) ?? CUTS.at(-1)!;
    this.bytes = new Uint8Array(sizeAt(cut));
    this.starts = new Uint32Array(contents.length + 1);
    for (const [i, content] of contents.entries()) {
      const kept = content.subarray(0, Math.min(content.length, cut));
      this.bytes.set(kept, this.starts[i]);
      this.starts[i + 1] = this.starts[i]! + kept.length;
    }
    this.cutBytes = contents.some(({ length }) => length > cut) ? cut : undefined;
  }

  /** The number of an event's content; -1 when it has none. */
  numberOf(event: number): number {
    return this.#numbers[event]!;
  }
}
