/**
 * One provisioning at a time per cache. The lock is flock(2) on a file, which the kernel releases when its holder ends,
 * even if killed. The file's content only tells who holds it.
 */
import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { loadNative, makeFolder } from '../../../emulator/native';
import { ProvisionError } from '../basis/errors';

/** Takes an exclusive lock on an open file without waiting. False: another process holds it. */
export type TryLock = (fd: number) => boolean;

/** flock(2), which Node lacks: from the addon, which is loaded when there is something to lock. */
export const tryLock: TryLock = (fd) => loadNative().flock(fd, true);

export interface LockOptions {
  readonly tryLock: TryLock;
  /** Called once if another process holds the lock. `pid` is undefined if that has not written it yet. */
  readonly onWait?: (pid: number | undefined) => void;
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number;
}

const POLL_INTERVAL_MS = 100;
/** Longer than any provisioning that is making progress. */
const DEFAULT_TIMEOUT_MS = 3_600_000;

/** Runs `work` while holding the lock on `file`. */
export async function withLock<T>(file: string, options: LockOptions, work: () => Promise<T>): Promise<T> {
  makeFolder(path.dirname(file));
  const fd = openSync(file, 'a+');
  try {
    await acquire(fd, file, options);
    ftruncateSync(fd);
    writeSync(fd, `${process.pid}\n`);
    return await work();
  } finally {
    closeSync(fd);
  }
}

async function acquire(fd: number, file: string, options: LockOptions): Promise<void> {
  const { timeoutMs = DEFAULT_TIMEOUT_MS, signal } = options;
  if (options.tryLock(fd)) return;
  options.onWait?.(holderOf(file));
  const deadline = performance.now() + timeoutMs;
  while (performance.now() < deadline) {
    await delay(POLL_INTERVAL_MS, undefined, signal === undefined ? {} : { signal });
    if (options.tryLock(fd)) return;
  }
  throw new ProvisionError({
    attempted: `waiting for another ghostcard (pid ${holderOf(file) ?? 'unknown'}) that is provisioning`,
    seen: `it still holds ${file} after ${timeoutMs} ms`,
    cure: 'check what that process is doing, end it if it hangs, and run again',
  });
}

function holderOf(file: string): number | undefined {
  const pid = Number.parseInt(readFileSync(file, 'utf8'), 10);
  return Number.isNaN(pid) ? undefined : pid;
}
