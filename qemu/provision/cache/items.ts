/** Lists the items in the cache, for `ghostcard cache` and for pruning. Read-only. */
import { lstatSync, readdirSync, readFileSync, type Stats } from 'node:fs';
import path from 'node:path';
import { aptOf, entriesOf, lockOf, readManifest, transpiledOf, workOf } from './folder';

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

export function listCache(cache: string): CacheItem[] {
  const locked = lockedInodes();
  const item = (file: string, describe: (inUse: boolean) => Pick<CacheItem, 'kind' | 'description'>): CacheItem[] => {
    const stats = lstatSync(file, { throwIfNoEntry: false });
    if (stats === undefined) return []; // removed meanwhile
    const inUse = locked.has(stats.ino);
    const { mtime: lastUsed } = stats;
    return [{ name: path.relative(cache, file), ...describe(inUse), bytes: diskBytes(file), lastUsed, inUse }];
  };
  const downloads = item(aptOf(cache), () => ({ kind: 'downloads', description: 'package lists and downloads' }));
  const lock = item(lockOf(cache), () => ({ kind: 'lock', description: 'lock of the provisioning that is running' }));
  const known = [entriesOf, workOf, aptOf, transpiledOf, lockOf].map((of) => of(cache));
  return [
    ...filesOf(entriesOf(cache)).flatMap((file) => item(file, () => describeEntry(file))),
    ...item(transpiledOf(cache), () => ({ kind: 'transpiled', description: 'JavaScript compiled from TypeScript' })),
    ...downloads.map((each) => ({ ...each, inUse: lock.some(({ inUse }) => inUse) })),
    ...filesOf(workOf(cache)).flatMap((file) => item(file, describeWork)),
    ...lock,
    ...filesOf(cache)
      .filter((file) => !known.includes(file))
      .flatMap((file) => item(file, () => ({ kind: 'unknown', description: 'not created by ghostcard' }))),
  ];
}

function describeEntry(folder: string): Pick<CacheItem, 'kind' | 'description'> {
  if (!/-[0-9a-f]{16}$/.test(folder)) return { kind: 'unknown', description: 'not created by ghostcard' };
  const complete = readManifest<{ description?: string }>(folder);
  if (complete === undefined) return { kind: 'entry', description: 'damaged: its manifest is missing or incomplete' };
  return {
    kind: 'entry',
    description: complete.manifest.description ?? `${complete.step}, created by an earlier version`,
  };
}

const describeWork = (inUse: boolean): Pick<CacheItem, 'kind' | 'description'> =>
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
function diskBytes(file: string, counted = new Set<number>()): number {
  const stats: Stats | undefined = lstatSync(file, { throwIfNoEntry: false });
  if (stats === undefined || counted.has(stats.ino)) return 0;
  if (stats.nlink > 1 && !stats.isDirectory()) counted.add(stats.ino);
  const below = stats.isDirectory() ? filesOf(file) : [];
  return below.reduce((sum, each) => sum + diskBytes(each, counted), stats.blocks * 512);
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
