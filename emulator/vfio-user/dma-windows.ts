/**
 * DMA_MAP and DMA_UNMAP. Guest memory that is passed as a descriptor becomes a window of the mapped file; other guest
 * memory is accessed by messages.
 *
 * A range that spans several pieces of the file (mapped-files.ts) is given to the device as several adjacent mappings.
 * For the client it is still one range, which can only be unmapped as a whole. Its pieces are mapped when they are first
 * accessed, so that a guest of a terabyte can be plugged in as fast as a small one.
 */
import { type Native } from '../native';
import { type DmaMapRequest } from './codec';
import { DeviceError, type DmaMapping, type Device } from '../device';
import { EINVAL, ENOSPC } from './errno';
import { FileWindow, type MappableFile, MappedFiles } from './mapped-files';
import { type RemoteMemory } from '../memory';

export const defaultPieceBytes = 0x8000_0000;

/** Ranges of several pieces for which a descriptor is kept, until all of them have been accessed. Others are mapped at once. */
const MOST_HELD = 64;

export class DmaWindows {
  readonly #files: MappedFiles;
  /** Number of ranges that the client has mapped. */
  #count = 0;
  /** Descriptors that are kept for pieces that are not mapped yet. */
  #held = 0;
  /** Start addresses of mappings other than the first one of their range. */
  readonly #continuations = new Set<bigint>();

  constructor(
    private readonly native: Native,
    private readonly device: Device,
    private readonly remote: RemoteMemory,
    private readonly limits: { readonly maxMaps: number; readonly pieceBytes: number },
  ) {
    this.#files = new MappedFiles(native, limits.pieceBytes);
  }

  /** The caller keeps `fd`; a mapping does not need its descriptor. @throws DeviceError */
  map(request: DmaMapRequest, fd: number | undefined): void {
    if (this.#count >= this.limits.maxMaps) {
      throw new DeviceError(ENOSPC, `DMA_MAP: ${this.#count} ranges are already mapped, which is the negotiated limit`);
    }
    if (fd === undefined) this.device.mapDma(mappingOf(request, { kind: 'remote', memory: this.remote }));
    else this.#mapFile(request, fd);
    this.#count++;
  }

  unmap(iova: bigint, sizeBytes: bigint): void {
    for (const border of [iova, iova + sizeBytes]) {
      if (!this.#continuations.has(border)) continue;
      throw new DeviceError(
        EINVAL,
        `DMA_UNMAP: 0x${border.toString(16)} lies inside a mapped range; unmap whole ranges`,
      );
    }
    for (const mapping of this.device.unmapDma(iova, sizeBytes)) {
      if (!this.#continuations.delete(mapping.iova)) this.#count--;
      if (mapping.backing instanceof FileWindow) mapping.backing.release();
    }
  }

  unmapAll(): void {
    this.unmap(0n, 1n << 64n);
    this.#files.releaseIdle();
  }

  #mapFile(request: DmaMapRequest, fd: number): void {
    const { iova, sizeBytes, fileOffset, writable } = request;
    const file = this.#files.look(fd, writable);
    if (fileOffset + sizeBytes > BigInt(file.sizeBytes)) {
      const asked = `${sizeBytes} bytes at offset 0x${fileOffset.toString(16)}`;
      throw new DeviceError(
        EINVAL,
        `DMA_MAP: ${asked} are beyond the end of the file, which has ${file.sizeBytes} bytes`,
      );
    }
    const offset = Number(fileOffset);
    const wantedBytes = Number(sizeBytes);
    const continued = Math.ceil((wantedBytes - this.#files.inOnePiece(offset, wantedBytes)) / this.limits.pieceBytes);
    if (this.#continuations.size + continued > this.limits.maxMaps) {
      throw new DeviceError(
        ENOSPC,
        `DMA_MAP: ${sizeBytes} bytes need ${continued + 1} mappings, which is too many; map less`,
      );
    }
    const { file: kept, letGo } = this.#keep(file, continued + 1);
    const done: DmaMapping[] = [];
    const windows: FileWindow[] = [];
    try {
      for (let at = 0; at < wantedBytes;) {
        const length = this.#files.inOnePiece(offset + at, wantedBytes - at);
        windows.push(new FileWindow(this.#files, kept, offset + at, length, letGo));
        at += length;
      }
      for (const backing of windows) {
        if (kept === file) void backing.bytes;
        const part = {
          ...request,
          iova: iova + BigInt(backing.fileOffset - offset),
          sizeBytes: BigInt(backing.sizeBytes),
        };
        const mapping = mappingOf(part, backing);
        this.device.mapDma(mapping);
        done.push(mapping);
      }
    } catch (error) {
      for (const mapping of done) this.device.unmapDma(mapping.iova, mapping.sizeBytes);
      for (const window of windows) window.release();
      throw error;
    }
    for (const mapping of done.slice(1)) this.#continuations.add(mapping.iova);
  }

  /** The file with a descriptor of its own, if it is to be mapped later. */
  #keep(file: MappableFile, pieces: number): { file: MappableFile; letGo(): void } {
    if (pieces === 1 || this.#held >= MOST_HELD) return { file, letGo: () => {} };
    const fd = this.native.duplicate(file.fd);
    this.#held++;
    let left = pieces;
    const letGo = (): void => {
      if (--left > 0) return;
      this.native.close(fd);
      this.#held--;
    };
    return { file: { ...file, fd }, letGo };
  }
}

const mappingOf = (
  { iova, sizeBytes, readable, writable }: DmaMapRequest,
  backing: DmaMapping['backing'],
): DmaMapping => ({ iova, sizeBytes, readable, writable, backing });
