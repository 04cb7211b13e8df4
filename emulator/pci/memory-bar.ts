/**
 * A BAR backed by plain memory, such as on-card DRAM, and the allocator of that memory. A client can map the BAR into the
 * guest when the allocator backs it with a file.
 */
import { LARGEST_ARRAY_BYTES, MemoryPieces } from './memory-pieces';

/** Memory of the card. With `fd`, the memory is that file from offset 0, and a client can map it. */
export interface CardMemory {
  /** All of it; empty where there are `pieces`. */
  readonly bytes: Uint8Array;
  /** Memory that is larger than one array can be. */
  readonly pieces?: MemoryPieces;
  readonly fd?: number;
  /** Sets all of it to 0. Default: that of `bytes`. */
  clear?(): void;
  close(): void;
}

export type MemoryAllocator = (sizeBytes: number, name: string) => CardMemory;

/** Memory private to this process, for cards whose client does not map it. */
export const privateMemory: MemoryAllocator = (sizeBytes) => {
  if (sizeBytes > LARGEST_ARRAY_BYTES) {
    const make = () => new Uint8Array(PRIVATE_PIECE_BYTES);
    const pieces = new MemoryPieces(sizeBytes, PRIVATE_PIECE_BYTES, make);
    return { bytes: new Uint8Array(), pieces, clear: () => pieces.forget(), close: () => pieces.forget() };
  }
  const bytes = new Uint8Array(sizeBytes);
  return { bytes, close: () => {} };
};

const PRIVATE_PIECE_BYTES = 2 ** 16;

/** Up to this size a loop is faster than creating a view for `set`. */
const LOOP_LIMIT_BYTES = 32;

/** A BAR of memory, as the card accesses it. */
export class MemoryBar {
  readonly #allocate: () => CardMemory;
  #memory: CardMemory | undefined;

  /** @internal `isMappable`: a client may map it, so it is allocated at once. Otherwise the first access allocates it. */
  constructor(
    allocate: () => CardMemory,
    private readonly isMappable: boolean,
  ) {
    this.#allocate = allocate;
    if (isMappable) this.#memory = allocate();
  }

  /** The memory, from BAR offset 0. @throws Error if it is larger than one array can be, 4 GiB */
  get bytes(): Uint8Array {
    const { bytes, pieces } = this.#allocated;
    if (pieces === undefined) return bytes;
    throw new Error(
      `Card memory of ${pieces.sizeBytes} bytes has no 'bytes': one array has at most ${LARGEST_ARRAY_BYTES}. Use ` +
        'read(offset, data) and write(offset, data) of the memory',
    );
  }

  get #allocated(): CardMemory {
    return (this.#memory ??= this.#allocate());
  }

  /** @internal The file that backs the memory, if a client can map it. */
  get fd(): number | undefined {
    return this.isMappable ? this.#memory?.fd : undefined;
  }

  /** @internal Releases the memory. */
  close(): void {
    this.#memory?.close();
  }

  /** Fills `data` from an offset into the BAR, in bytes. */
  read(barOffset: number, data: Uint8Array): void {
    const { bytes, pieces } = this.#allocated;
    if (pieces) pieces.read(barOffset, data);
    else if (data.length > LOOP_LIMIT_BYTES) data.set(bytes.subarray(barOffset, barOffset + data.length));
    else for (let i = 0; i < data.length; i++) data[i] = bytes[barOffset + i]!;
  }

  /** Writes `data` at an offset into the BAR, in bytes. */
  write(barOffset: number, data: Uint8Array): void {
    const { bytes, pieces } = this.#allocated;
    if (pieces) pieces.write(barOffset, data);
    else if (data.length > LOOP_LIMIT_BYTES) bytes.set(data, barOffset);
    else for (let i = 0; i < data.length; i++) bytes[barOffset + i] = data[i]!;
  }
}
