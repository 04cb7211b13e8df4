/**
 * A BAR backed by plain memory, such as on-card DRAM, and the allocator of that memory. A client can map the BAR into the
 * guest when the allocator backs it with a file.
 */
import type { BarTarget } from './bars';

/** Memory of the card. With `fd`, the memory is that file from offset 0, and a client can map it. */
export interface CardMemory {
  readonly bytes: Uint8Array;
  readonly fd?: number;
  close(): void;
}

export type MemoryAllocator = (sizeBytes: number, name: string) => CardMemory;

/** Memory private to this process, for cards whose client does not map it. */
export const privateMemory: MemoryAllocator = (sizeBytes) => ({ bytes: new Uint8Array(sizeBytes), close: () => {} });

/** Up to this size a loop is faster than creating a view for `set`. */
const LOOP_LIMIT_BYTES = 32;

export class MemoryBar implements BarTarget {
  readonly #allocate: () => CardMemory;
  #memory: CardMemory | undefined;

  /** `isMappable`: a client may map it, so it is allocated at once. Otherwise the first access allocates it. */
  constructor(
    allocate: () => CardMemory,
    private readonly isMappable: boolean,
  ) {
    this.#allocate = allocate;
    if (isMappable) this.#memory = allocate();
  }

  /** The memory, from BAR offset 0. */
  get bytes(): Uint8Array {
    return (this.#memory ??= this.#allocate()).bytes;
  }

  /** The file that backs the memory, if a client can map it. */
  get fd(): number | undefined {
    return this.isMappable ? this.#memory?.fd : undefined;
  }

  /** Releases the memory. */
  close(): void {
    this.#memory?.close();
  }

  read(barOffset: number, data: Uint8Array): void {
    const { bytes } = this;
    if (data.length > LOOP_LIMIT_BYTES) data.set(bytes.subarray(barOffset, barOffset + data.length));
    else for (let i = 0; i < data.length; i++) data[i] = bytes[barOffset + i]!;
  }

  write(barOffset: number, data: Uint8Array): void {
    const { bytes } = this;
    if (data.length > LOOP_LIMIT_BYTES) bytes.set(data, barOffset);
    else for (let i = 0; i < data.length; i++) bytes[barOffset + i] = data[i]!;
  }
}
