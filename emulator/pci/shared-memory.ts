/**
 * Card memory that a client can map: anonymous shared files (memfd), mapped into this process as well, so that card and
 * guest see the same bytes.
 */
import { loadNative, type Native } from '../native';
import { type MemoryAllocator } from './memory-bar';

/** An allocator for `CardEnvironment.allocate`; needs the native addon. */
export function sharedMemory(native: Native = loadNative()): MemoryAllocator {
  return (sizeBytes, name) => {
    const fd = native.memfdCreate(name, sizeBytes);
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
