/** Waits for a file to grow. */
import { type FSWatcher, watch } from 'node:fs';
import { basename, dirname } from 'node:path';

/** File systems without notice of changes (9p) are asked again after so long. */
const LOOK_EVERY_MS = 1000;

/** Yields when there may be more in the file, until `stop`. The file may become another under the same name. */
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

/** What cannot be watched is only looked at now and then: the limit of inotify is reached, for instance. */
function watched(path: string, notice: () => void): FSWatcher | undefined {
  try {
    return watch(dirname(path), (_, name) => name === basename(path) && notice()).on('error', () => {});
  } catch {
    return undefined;
  }
}
