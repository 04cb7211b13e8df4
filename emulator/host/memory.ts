/** Host memory for DMA: one address range, from which buffers are allocated. */
export interface HostBuffer {
  /** Address as the device sees it, in bytes. */
  readonly iova: number;
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

/** Host memory for DMA: one address range, from which buffers are allocated. */
export class HostMemory {
  readonly bytes: Uint8Array;
  #usedBytes = 0;

  constructor(
    readonly iova: number,
    readonly sizeBytes: number,
  ) {
    this.bytes = new Uint8Array(sizeBytes);
  }

  /** Allocates the next `sizeBytes` bytes at a multiple of `alignment`. They are zero. */
  allocate(sizeBytes: number, alignment = 64): HostBuffer {
    const start = Math.ceil((this.iova + this.#usedBytes) / alignment) * alignment - this.iova;
    if (start + sizeBytes > this.sizeBytes) {
      throw new RangeError(
        `allocating ${sizeBytes} bytes of host memory: ${this.sizeBytes - start} of ${this.sizeBytes} are left; ` +
          'create the host with a larger memoryBytes',
      );
    }
    this.#usedBytes = start + sizeBytes;
    const bytes = this.bytes.subarray(start, start + sizeBytes);
    return { iova: this.iova + start, bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.length) };
  }
}
