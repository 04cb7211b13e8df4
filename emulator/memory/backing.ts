/**
 * What stands behind a range of device-visible addresses.
 *
 * - `bytes`: memory that this process can touch (mapped from a passed descriptor, or plain memory of the host model).
 *   DMA is a copy, done at once. `bytes` may be made by its first use, which throws when it fails; `sizeBytes` is known
 *   before then. `fileOffset`: where they are in the file that the descriptor is of, in bytes.
 * - `remote`: memory that only the client can touch. DMA goes by message and completes later.
 * - `none`: nothing; an access is checked and moves no byte. For a replay, which knows from elsewhere what was read.
 */
export type DmaBacking =
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array; readonly sizeBytes?: number; readonly fileOffset?: number }
  | { readonly kind: 'remote'; readonly memory: RemoteMemory }
  | { readonly kind: 'none' };

/** Memory reached by DMA_READ / DMA_WRITE messages; addresses are absolute IOVAs in bytes. */
export interface RemoteMemory {
  /** Fills `into`; rejects with a DmaError when the client refuses. */
  read(iova: bigint, into: Uint8Array): Promise<void>;
  /** Writes `from`; resolves when the client has acknowledged it. */
  write(iova: bigint, from: Uint8Array): Promise<void>;
}

/** A range of device-visible addresses with the memory behind it. */
export interface DmaMapping {
  /** First I/O virtual address (the guest physical address when there is no IOMMU), in bytes. */
  readonly iova: bigint;
  readonly sizeBytes: bigint;
  readonly readable: boolean;
  readonly writable: boolean;
  readonly backing: DmaBacking;
}
