/**
 * Lists the items in the cache, for `ghostcard cache` and for pruning. Read-only. A cache has tens of thousands of files,
 * and this process may be serving cards: an entry is measured once, when it is made, and the rest while other work goes on.
 */
import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import path from 'node:path';
import { transpiledOf } from '../../../emulator/folders';
import { ABSENT, aptOf, entriesOf, lockOf, readManifest, workOf } from './folder';

/**
 * `work` is being built or removed; a `leftover` belonged to a process that has ended; `unknown` was not created by
 * ghostcard.
 */
export type CacheItemKind = 'entry' | 'downloads' | 'transpiled' | 'work' | 'leftover' | 'lock' | 'unknown';

export interface CacheItem {
  /** Relative to the cache's folder. */
  readonly name: string;
  readonly kind: CacheItemKind;
  /** A description for people. */
  readonly description: string;
  /** Its disk usage, which is less than its length for a file with holes. */
  readonly bytes: number;
  readonly lastUsed: Date;
  /** Whether a process on this machine holds its lock. */
  readonly inUse: boolean;
}

type Description = Pick<CacheItem, 'kind' | 'description'> & Partial<Pick<CacheItem, 'bytes'>>;

export async function listCache(cache: string): Promise<CacheItem[]> {
  const locked = lockedInodes();
  const items = async (
    files: readonly string[],
    describe: (file: string, inUse: boolean) => Description,
  ): Promise<CacheItem[]> => {
    const found: CacheItem[] = [];
    for (const file of files) {
      const stats = lstatSync(file, { throwIfNoEntry: false });
      if (stats === undefined) continue; // removed meanwhile
      const inUse = locked.has(stats.ino);
      const { kind, description, bytes = await diskBytes(file) } = describe(file, inUse);
      found.push({ name: path.relative(cache, file), kind, description, bytes, lastUsed: stats.mtime, inUse });
    }
    return found;
  };
  const all = (description: Description) => (): Description => description;
  const downloads = all({ kind: 'downloads', description: 'package lists and downloads' });
  const lock = await items(
    [lockOf(cache)],
    all({ kind: 'lock', description: 'lock of the provisioning that is running' }),
  );
  const known = [entriesOf, workOf, aptOf, transpiledOf, lockOf].map((of) => of(cache));
  return [
    ...(await items(filesOf(entriesOf(cache)), describeEntry)),
    ...(await items(
      [transpiledOf(cache)],
      all({ kind: 'transpiled', description: 'JavaScript compiled from TypeScript' }),
    )),
    ...(await items([aptOf(cache)], downloads)).map((each) => ({ ...each, inUse: lock.some(({ inUse }) => inUse) })),
    ...(await items(filesOf(workOf(cache)), describeWork)),
    ...lock,
    ...(await items(
      filesOf(cache).filter((file) => !known.includes(file)),
      all({ kind: 'unknown', description: 'not created by ghostcard' }),
    )),
  ];
}

function describeEntry(folder: string): Description {
  if (!/-[0-9a-f]{16}$/.test(folder)) return { kind: 'unknown', description: 'not created by ghostcard' };
  const complete = readManifest<{ description?: string }>(folder);
  if (complete === undefined) return { kind: 'entry', description: 'damaged: its manifest is missing or incomplete' };
  const { step, manifest, diskBytes: bytes } = complete;
  const description = manifest.description ?? `${step}, created by an earlier version`;
  return { kind: 'entry', description, ...(bytes !== undefined && { bytes }) };
}

const describeWork = (_file: string, inUse: boolean): Description =>
  inUse
    ? { kind: 'work', description: 'being built or removed right now' }
    : { kind: 'leftover', description: 'left by a run that was killed' };

function filesOf(folder: string): string[] {
  if (!lstatSync(folder, { throwIfNoEntry: false })?.isDirectory()) return [];
  return readdirSync(folder)
    .sort()
    .map((name) => path.join(folder, name));
}

/** Disk usage of a file, or of a folder with its contents. A file with several names counts once. */
export async function diskBytes(file: string, counted = new Set<number>()): Promise<number> {
  const stats = await ifThere(lstat(file));
  if (stats === undefined || counted.has(stats.ino)) return 0;
  if (stats.nlink > 1 && !stats.isDirectory()) counted.add(stats.ino);
  let bytes = stats.blocks * 512;
  const names = stats.isDirectory() ? await ifThere(readdir(file)) : [];
  for (const name of names ?? []) bytes += await diskBytes(path.join(file, name), counted);
  return bytes;
}

/** Undefined if the file has been removed meanwhile. */
async function ifThere<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (!ABSENT.includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    return undefined;
  }
}

/**
 * Inodes with a flock(2) lock. Trying the lock itself would block others meanwhile.
 *
 * Source: proc_locks(5).
 */
function lockedInodes(): Set<number> {
  const lines = readFileSync('/proc/locks', 'utf8').matchAll(/^\d+: FLOCK .*? [0-9a-f]+:[0-9a-f]+:(\d+) /gm);
  return new Set([...lines].map(([, inode]) => Number(inode)));
}
