/**
 * DMA_MAP and DMA_UNMAP: guest memory that came as a descriptor is mapped, other memory is reached by message.
 *
 * A range longer than one ArrayBuffer may be (4 GiB on Node 20) is handed to the device as several mappings that touch.
 */
import { type Native } from '../native';
import { type DmaMapRequest } from './codec';
import { DeviceError, type DmaMapping, type VfioUserDevice } from './device';
import { EINVAL, ENOSPC } from './errno';
import { type RemoteMemory } from '../memory';

export const defaultPieceBytes = 0x8000_0000;

export class DmaWindows {
  #count = 0;

  constructor(
    private readonly native: Native,
    private readonly device: VfioUserDevice,
    private readonly remote: RemoteMemory,
    private readonly limits: { readonly maxMaps: number; readonly pieceBytes: number },
  ) {}

  /** The caller keeps `fd`: a mapping outlives its descriptor. */
  map(request: DmaMapRequest, fd: number | undefined): void {
    if (fd !== undefined && request.fileOffset + request.sizeBytes > BigInt(Number.MAX_SAFE_INTEGER)) {
      throw new DeviceError(EINVAL, `DMA_MAP: file offset 0x${request.fileOffset.toString(16)} is beyond any file`);
    }
    if (fd === undefined) this.#add(request, { kind: 'remote', memory: this.remote });
    else this.#mapInPieces(request, fd);
  }

  unmap(iova: bigint, sizeBytes: bigint): void {
    const removed = this.device.unmapDma(iova, sizeBytes);
    this.#count -= removed.length;
    for (const { backing } of removed) if (backing.kind === 'bytes') this.#release(backing.bytes);
  }

  unmapAll(): void {
    this.unmap(0n, 1n << 64n);
  }

  #mapInPieces(request: DmaMapRequest, fd: number): void {
    const { iova, sizeBytes, fileOffset, writable } = request;
    const step = BigInt(this.limits.pieceBytes);
    for (let done = 0n; done < sizeBytes; done += step) {
      const length = sizeBytes - done < step ? sizeBytes - done : step;
      try {
        const bytes = new Uint8Array(this.native.map(fd, Number(fileOffset + done), Number(length), writable));
        try {
          this.#add({ ...request, iova: iova + done, sizeBytes: length }, { kind: 'bytes', bytes });
        } catch (error) {
          this.#release(bytes);
          throw error;
        }
      } catch (error) {
        if (done > 0n) this.unmap(iova, done);
        throw error;
      }
    }
  }

  #add({ iova, sizeBytes, readable, writable }: DmaMapRequest, backing: DmaMapping['backing']): void {
    if (this.#count >= this.limits.maxMaps) {
      throw new DeviceError(ENOSPC, `DMA_MAP: ${this.#count} ranges are mapped already, the limit agreed on`);
    }
    this.device.mapDma({ iova, sizeBytes, readable, writable, backing });
    this.#count++;
  }

  #release(bytes: Uint8Array): void {
    this.native.unmap(bytes.buffer as ArrayBuffer);
  }
}
