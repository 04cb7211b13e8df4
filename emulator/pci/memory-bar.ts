/**
 * A BAR with plain memory behind it, on-card DRAM for instance, and where that memory comes from. A client can map it
 * into the guest when the allocator puts a file behind it.
 */
import type { BarTarget } from './bars';

/** Memory of the card. With `fd`, the memory is that file from offset 0, and can be mapped by a client. */
export interface CardMemory {
  readonly bytes: Uint8Array;
  readonly fd?: number;
  close(): void;
}

export type MemoryAllocator = (sizeBytes: number, name: string) => CardMemory;

/** Memory of this process alone: what a card without a client that maps it needs. */
export const privateMemory: MemoryAllocator = (sizeBytes) => ({ bytes: new Uint8Array(sizeBytes), close: () => {} });

/** Up to here a loop beats making a view for `set`. */
const LOOP_LIMIT_BYTES = 32;

export class MemoryBar implements BarTarget {
  readonly #allocate: () => CardMemory;
  #memory: CardMemory | undefined;

  /** `isMappable`: a client may map it, so it is there from the start. Else it is made by the first access. */
  constructor(
    allocate: () => CardMemory,
    private readonly isMappable: boolean,
  ) {
    this.#allocate = allocate;
    if (isMappable) this.#memory = allocate();
  }

  /** The memory, BAR offset 0 first. */
  get bytes(): Uint8Array {
    return (this.#memory ??= this.#allocate()).bytes;
  }

  /** The file behind the memory, if it can be mapped by a client. */
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
