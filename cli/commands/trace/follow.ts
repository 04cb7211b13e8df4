/** Waits for a file to grow. */
import { type FSWatcher, watch } from 'node:fs';
import { basename, dirname } from 'node:path';

/** How often a file system without change notification (9p) is polled. */
const LOOK_EVERY_MS = 1000;

/** Yields when there may be more in the file, until `stop`. The file may be replaced by another of the same name. */
export async function* changesOf(path: string, stop: AbortSignal): AsyncGenerator<void> {
  let wake = (): void => {};
  let changed = true; // it may have grown before it was watched
  const notice = (): void => {
    changed = true;
    wake();
  };
  const watcher = watched(path, notice);
  const timer = setInterval(notice, LOOK_EVERY_MS);
  stop.addEventListener('abort', notice);
  try {
    while (!stop.aborted) {
      if (!changed) await new Promise<void>((resolve) => (wake = resolve));
      changed = false;
      if (!stop.aborted) yield;
    }
  } finally {
    stop.removeEventListener('abort', notice);
    clearInterval(timer);
    watcher?.close();
  }
}

/** What cannot be watched, for instance at the limit of inotify, is only polled. */
function watched(path: string, notice: () => void): FSWatcher | undefined {
  try {
    return watch(dirname(path), (_, name) => name === basename(path) && notice()).on('error', () => {});
  } catch {
    return undefined;
  }
}
