/**
 * Locks on the cache's folders: shared by those who use what is in one, exclusive for the one who makes or removes it.
 * The lock is flock(2) on the folder itself, so it moves with the folder when that is renamed, needs no file of its own,
 * works in a cache that can only be read, and is gone with its holder, however that ends.
 */
import { closeSync, constants, fstatSync, openSync, statSync } from 'node:fs';
import { loadNative } from '../../../emulator/native';

type Mode = 'shared' | 'exclusive';

const ABSENT = ['ENOENT', 'ENOTDIR'];

export class FolderLock implements Disposable {
  #fd: number | undefined;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /** Undefined when there is no such folder, or when someone holds what does not go with this. Never waits. */
  static take(folder: string, mode: Mode): FolderLock | undefined {
    const fd = openFolder(folder);
    if (fd === undefined) return undefined;
    const lock = new FolderLock(fd);
    try {
      // What was opened may have been renamed or removed before it was locked.
      if (flock(fd, mode) && lock.isOn(folder)) return lock;
    } catch (error) {
      lock.release();
      throw error;
    }
    lock.release();
    return undefined;
  }

  /** Whether `folder` is still the one that was locked: it may have been removed and made anew. */
  isOn(folder: string): boolean {
    if (this.#fd === undefined) return false;
    const locked = fstatSync(this.#fd, { bigint: true });
    const there = statSync(folder, { bigint: true, throwIfNoEntry: false });
    return there !== undefined && there.ino === locked.ino && there.dev === locked.dev;
  }

  /** Can be called again. */
  release(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }

  [Symbol.dispose](): void {
    this.release();
  }
}

function openFolder(folder: string): number | undefined {
  try {
    return openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  } catch (error) {
    if (ABSENT.includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}

function flock(fd: number, mode: Mode): boolean {
  try {
    return loadNative().flock(fd, mode === 'exclusive');
  } catch (error) {
    if (mode === 'shared') return true; // on a file system without locks nothing can be removed, but all can be used
    throw error;
  }
}
