/**
 * Card memory that a client can map: anonymous shared files (memfd), mapped into this process as well, so that card and
 * guest see the same bytes.
 */
import { loadNative, type Native } from '../native';
import { type CardMemory, type MemoryAllocator } from './memory-bar';
import { LARGEST_ARRAY_BYTES, MemoryPieces } from './memory-pieces';

const PIECE_BYTES = 2 ** 30;

/** An allocator for `CardEnvironment.allocate`; needs the native addon. */
export function sharedMemory(native: Native = loadNative()): MemoryAllocator {
  return (sizeBytes, name) => {
    const fd = native.memfdCreate(name, sizeBytes);
    if (sizeBytes > LARGEST_ARRAY_BYTES) return inPieces(native, fd, sizeBytes);
    try {
      const mapped = native.map(fd, 0, sizeBytes, true);
      const close = (): void => {
        native.unmap(mapped);
        native.close(fd);
      };
      return { bytes: new Uint8Array(mapped), fd, close };
    } catch (error) {
      native.close(fd);
      throw error;
    }
  };
}

/** A file of any size, of which only what is accessed is mapped into this process. */
function inPieces(native: Native, fd: number, sizeBytes: number): CardMemory {
  const mapped: ArrayBuffer[] = [];
  const pieces = new MemoryPieces(sizeBytes, PIECE_BYTES, (offset) => {
    const piece = native.map(fd, offset, PIECE_BYTES, true);
    mapped.push(piece);
    return new Uint8Array(piece);
  });
  const close = (): void => {
    pieces.forget();
    for (const piece of mapped) native.unmap(piece);
    native.close(fd);
  };
  return { bytes: new Uint8Array(), pieces, fd, clear: () => fillFile(native, fd, 0, sizeBytes, 0), close };
}

/**
 * Sets a range of card memory to one value. Of memory that is larger than one array can be, only what has been written
 * before: the rest is holes, which would cost that much memory.
 */
export function fillFile(native: Native, fd: number, offset: number, sizeBytes: number, value: number): void {
  const end = offset + sizeBytes;
  const isLarge = sizeBytes > LARGEST_ARRAY_BYTES;
  for (let at = offset; at < end;) {
    const extent = isLarge ? native.nextExtent(fd, at) : ([at, end] as const);
    if (extent === undefined) return;
    const start = Math.max(at, extent[0]);
    at = Math.min(extent[1], end, start + PIECE_BYTES);
    if (start >= at) return;
    const pages = native.map(fd, start, at - start, true);
    new Uint8Array(pages).fill(value);
    native.unmap(pages);
  }
}
