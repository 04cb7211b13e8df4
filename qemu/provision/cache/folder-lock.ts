/**
 * Locks on the cache's folders: shared for users of a folder, exclusive for its builder or remover. The lock is
 * flock(2) on the folder itself, so it stays with the folder when that is renamed, needs no extra file, works in a
 * read-only cache, and is released when its holder ends, even if killed.
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

  /** Undefined if there is no such folder, or if it has an incompatible lock. Never waits. */
  static take(folder: string, mode: Mode): FolderLock | undefined {
    const fd = openFolder(folder);
    if (fd === undefined) return undefined;
    const lock = new FolderLock(fd);
    try {
      // The folder may have been renamed or removed between open and lock.
      if (flock(fd, mode) && lock.isOn(folder)) return lock;
    } catch (error) {
      lock.release();
      throw error;
    }
    lock.release();
    return undefined;
  }

  /** Whether `folder` is still the locked one: it may have been removed and created again. */
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
    if (mode === 'shared') return true; // without lock support nothing can be removed, but everything can be used
    throw error;
  }
}
