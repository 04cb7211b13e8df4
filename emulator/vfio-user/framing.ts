/**
 * Splits a byte stream into messages: incomplete ones wait, several in one receive are returned one by one, and each
 * gets the descriptors that were passed with it.
 *
 * There is one buffer, and a message is decoded in place. It is valid until the next call of `received`.
 *
 * Source: QEMU docs/interop/vfio-user.rst, section "Header"; unix(7) on how passed descriptors end a receive.
 */
import { decodeHeader, headerError } from './codec';
import { Header, HEADER_BYTES } from './wire';

/** The stream contains an invalid header; nothing after it can be parsed. */
export class FramingError extends Error {
  override readonly name: string = 'FramingError';
}

/** A message is longer than the longest. What follows it can be parsed: `skip` discards it. */
export class OversizedMessage extends FramingError {
  override readonly name = 'OversizedMessage';
}

interface DescriptorBatch {
  /** Position in the buffer of the last byte that arrived with the descriptors. */
  readonly at: number;
  readonly descriptors: readonly number[];
  readonly lost: boolean;
}

export class MessageReader {
  /** The receive buffer: `bytes[end … bytes.length - 1]` is free. */
  readonly bytes: Uint8Array;
  readonly view: DataView;
  end = 0;

  /** The message that `next` found: position of its first byte, and its size including the header. */
  at = 0;
  sizeBytes = 0;

  #start = 0;
  #batches: DescriptorBatch[] = [];
  /** Bytes of a message that is being skipped, which have not arrived yet. */
  #skipping = 0;

  /** `closeDescriptor` gets those that arrive with a message that is skipped. */
  constructor(
    readonly maxMessageBytes: number,
    private readonly closeDescriptor: (fd: number) => void,
  ) {
    // With room after the longest message, so that a run of small ones arrives in one receive.
    this.bytes = new Uint8Array(maxMessageBytes + 64 * 1024);
    this.view = new DataView(this.bytes.buffer);
  }

  /** Adds `count` bytes that were received at `end`, with these descriptors. */
  received(count: number, descriptors: readonly number[] = none.descriptors, lost = false): void {
    this.end += count;
    if (descriptors.length > 0 || lost) this.#batches.push({ at: this.end - 1, descriptors, lost });
    if (this.#skipping > 0) this.#skip();
  }

  /**
   * Discards the message that is too long, and its descriptors: what has arrived of it, and what will. For the one whose
   * header `next` has refused.
   */
  skip(): void {
    this.#skipping = this.view.getUint32(this.at + Header.SIZE, true);
    this.#skip();
  }

  #skip(): void {
    const count = Math.min(this.#skipping, this.end - this.#start);
    this.#start += count;
    this.#skipping -= count;
    const isSkipped = ({ at }: DescriptorBatch): boolean => at < this.#start;
    for (const fd of this.#batches.filter(isSkipped).flatMap(({ descriptors }) => descriptors))
      this.closeDescriptor(fd);
    this.#batches = this.#batches.filter((batch) => !isSkipped(batch));
    this.#makeRoom(HEADER_BYTES);
  }

  /** Finds the next complete message; false if there is none yet. @throws FramingError if a header is invalid */
  next(): boolean {
    const start = this.#start;
    const available = this.end - start;
    if (available < HEADER_BYTES) return this.#makeRoom(HEADER_BYTES);
    const sizeBytes = this.view.getUint32(start + Header.SIZE, true);
    // A single comparison in the common case; the exact reason is determined only on failure.
    if (sizeBytes < HEADER_BYTES || sizeBytes > this.maxMessageBytes || this.bytes[start + Header.FLAGS]! & 0xe) {
      this.at = start;
      this.sizeBytes = HEADER_BYTES;
      const header = decodeHeader(this.view, start);
      const isOnlyTooLong = headerError(header, header.sizeBytes) === undefined;
      const kind = isOnlyTooLong ? OversizedMessage : FramingError;
      throw new kind(headerError(header, this.maxMessageBytes));
    }
    if (available < sizeBytes) return this.#makeRoom(sizeBytes);
    this.at = start;
    this.sizeBytes = sizeBytes;
    this.#start = start + sizeBytes;
    return true;
  }

  /**
   * Takes the descriptors of the current message; the caller closes them. `lost`: the kernel could not pass all of
   * them.
   */
  takeDescriptors(): { descriptors: readonly number[]; lost: boolean } {
    if (this.#batches.length === 0) return none;
    const mine = this.#batches.filter(({ at }) => at < this.#start);
    this.#batches = this.#batches.filter(({ at }) => at >= this.#start);
    return { descriptors: mine.flatMap((batch) => batch.descriptors), lost: mine.some((batch) => batch.lost) };
  }

  /** Whether descriptors arrived with the current message, or one before it. */
  get hasDescriptors(): boolean {
    return this.#batches.length > 0 && this.#batches[0]!.at < this.#start;
  }

  /** Number of descriptors that were not taken. */
  get heldDescriptors(): number {
    let count = 0;
    for (const { descriptors } of this.#batches) count += descriptors.length;
    return count;
  }

  /** The descriptors that were not taken, to be closed at the end of the connection. */
  takeAllDescriptors(): readonly number[] {
    const all = this.#batches.flatMap((batch) => batch.descriptors);
    this.#batches = [];
    return all;
  }

  /** Moves an incomplete message to the front if there is no room for the rest of it. Returns false, for `next`. */
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
