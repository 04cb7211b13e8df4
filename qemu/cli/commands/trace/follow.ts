/** Waits for a file to grow. */
import { watch } from 'node:fs';
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
  const watcher = watch(dirname(path), (_, name) => name === basename(path) && notice());
  watcher.on('error', () => {}); // what cannot be watched is looked at
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
    watcher.close();
  }
}
