/**
 * Messages out of a byte stream: half ones wait, several in one receive come out one by one, and each gets the
 * descriptors that were passed with it.
 *
 * One buffer for ever; a message is decoded where it lies. It is valid until the next call of `received`.
 *
 * Source: QEMU docs/interop/vfio-user.rst, section "Header"; unix(7) on how passed descriptors end a receive.
 */
import { decodeHeader, headerFault } from './codec';
import { Header, HEADER_BYTES } from './wire';

/** The stream holds something that is no message; nothing behind it can be understood. */
export class FramingError extends Error {
  override readonly name = 'FramingError';
}

interface DescriptorBatch {
  /** Where in the buffer the last byte lies that was received together with them. */
  readonly at: number;
  readonly descriptors: readonly number[];
  readonly lost: boolean;
}

export class MessageReader {
  /** Where the stream is received into: `bytes[end … bytes.length - 1]` is free. */
  readonly bytes: Uint8Array;
  readonly view: DataView;
  end = 0;

  /** The message that `next` found: its first byte in the buffer and its size, header included. */
  at = 0;
  sizeBytes = 0;

  #start = 0;
  #batches: DescriptorBatch[] = [];

  constructor(readonly maxMessageBytes: number) {
    // Room behind the longest message, so that a run of small ones arrives in one receive.
    this.bytes = new Uint8Array(maxMessageBytes + 64 * 1024);
    this.view = new DataView(this.bytes.buffer);
  }

  /** `count` bytes have come in at `end`, with these descriptors. */
  received(count: number, descriptors: readonly number[] = none.descriptors, lost = false): void {
    this.end += count;
    if (descriptors.length > 0 || lost) this.#batches.push({ at: this.end - 1, descriptors, lost });
  }

  /** Finds the next whole message; false when there is none yet. Throws FramingError for a header that is none. */
  next(): boolean {
    const start = this.#start;
    const available = this.end - start;
    if (available < HEADER_BYTES) return this.#makeRoom(HEADER_BYTES);
    const sizeBytes = this.view.getUint32(start + Header.SIZE, true);
    // One comparison for the common case; the exact reason is only looked for when there is one.
    if (sizeBytes < HEADER_BYTES || sizeBytes > this.maxMessageBytes || this.bytes[start + Header.FLAGS]! & 0xe) {
      this.at = start;
      this.sizeBytes = HEADER_BYTES;
      throw new FramingError(headerFault(decodeHeader(this.view, start), this.maxMessageBytes));
    }
    if (available < sizeBytes) return this.#makeRoom(sizeBytes);
    this.at = start;
    this.sizeBytes = sizeBytes;
    this.#start = start + sizeBytes;
    return true;
  }

  /** Takes the descriptors of the message at hand: the caller closes them. `lost`: the system could not pass all. */
  takeDescriptors(): { descriptors: readonly number[]; lost: boolean } {
    if (this.#batches.length === 0) return none;
    const mine = this.#batches.filter(({ at }) => at < this.#start);
    this.#batches = this.#batches.filter(({ at }) => at >= this.#start);
    return { descriptors: mine.flatMap((batch) => batch.descriptors), lost: mine.some((batch) => batch.lost) };
  }

  /** Whether descriptors came with the message at hand (or one before it). */
  get hasDescriptors(): boolean {
    return this.#batches.length > 0 && this.#batches[0]!.at < this.#start;
  }

  /** How many descriptors have not been taken. */
  get heldDescriptors(): number {
    let count = 0;
    for (const { descriptors } of this.#batches) count += descriptors.length;
    return count;
  }

  /** What has not been taken, for closing when the connection ends. */
  takeAllDescriptors(): readonly number[] {
    const all = this.#batches.flatMap((batch) => batch.descriptors);
    this.#batches = [];
    return all;
  }

  /** Moves an unfinished message to the front when it would not fit where it lies. Returns false, for `next`. */
  #makeRoom(neededBytes: number): false {
    if (this.#start === this.end) this.#start = this.end = 0;
    else if (this.#start + neededBytes > this.bytes.length || this.end === this.bytes.length) {
      const moved = this.#start;
      this.bytes.copyWithin(0, moved, this.end);
      this.end -= moved;
      this.#start = 0;
      this.#batches = this.#batches.map((batch) => ({ ...batch, at: batch.at - moved }));
    }
    return false;
  }
}

const none = { descriptors: [], lost: false } as const;
