/**
 * Removes from the cache what nobody uses: what killed runs have left, then what was used longest ago. Any number of
 * processes may do so at once, and beside others that make and use entries: a thing is removed only while its lock is
 * held, and first loses its name, so that nobody ever finds half of it.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, lstatSync, mkdirSync, renameSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { lockOf, workOf } from './folder';
import { type CacheItem, type CacheItemKind, listCache } from './items';
import { ProvisionError } from '../basis/errors';
import { FolderLock } from './folder-lock';
import { withLock, tryLock } from './lock';

/** Leftovers of killed runs always go; what else goes is said by one of these. */
export type PruneOptions =
  | { readonly all: true }
  /** What was used longest ago goes, until no more than this is left. */
  | { readonly keepBytes: number }
  /** What has not been used since then goes. */
  | { readonly unusedSince: Date };

export interface Pruned {
  readonly removed: readonly CacheItem[];
  /** What would have gone, were it not in use. */
  readonly inUse: readonly CacheItem[];
  readonly freedBytes: number;
}

const PRUNED: readonly CacheItemKind[] = ['entry', 'downloads', 'transpiled'];

export async function pruneCache(cache: string, options: PruneOptions): Promise<Pruned> {
  const items = listCache(cache);
  const removed: CacheItem[] = [];
  const inUse: CacheItem[] = [];
  const take = async (item: CacheItem): Promise<boolean> => {
    const isGone = await remove(cache, item);
    (isGone ? removed : inUse).push(item);
    return isGone;
  };
  for (const item of items.filter(({ kind }) => kind === 'leftover')) await take(item);
  const oldestFirst = items
    .filter(({ kind }) => PRUNED.includes(kind))
    .sort((a, b) => Number(a.lastUsed) - Number(b.lastUsed));
  let keptBytes = sumOf(oldestFirst);
  for (const item of oldestFirst) {
    if ('keepBytes' in options && keptBytes <= options.keepBytes) break;
    if ('unusedSince' in options && item.lastUsed >= options.unusedSince) break;
    if (await take(item)) keptBytes -= item.bytes;
  }
  return { removed, inUse, freedBytes: sumOf(removed) };
}

export async function removeLeftovers(cache: string): Promise<void> {
  for (const item of listCache(cache)) if (item.kind === 'leftover') await remove(cache, item);
}

const sumOf = (items: readonly CacheItem[]): number => items.reduce((sum, { bytes }) => sum + bytes, 0);

/** Whether the thing is gone; if not, it is in use. */
async function remove(cache: string, { name, kind }: CacheItem): Promise<boolean> {
  const file = path.join(cache, name);
  if (kind !== 'downloads') return await removeUnlocked(cache, file);
  try {
    return await withLock(lockOf(cache), { tryLock, timeoutMs: 0 }, () => removeUnlocked(cache, file));
  } catch (error) {
    if (error instanceof ProvisionError) return false; // somebody is provisioning
    throw error;
  }
}

async function removeUnlocked(cache: string, file: string): Promise<boolean> {
  using lock = FolderLock.take(file, 'exclusive');
  if (lock === undefined) {
    if (lstatSync(file, { throwIfNoEntry: false })?.isDirectory() === false) await rm(file, { force: true });
    return !existsSync(file);
  }
  const aside = path.join(workOf(cache), `removed-${randomBytes(6).toString('hex')}`);
  mkdirSync(path.dirname(aside), { recursive: true });
  renameSync(file, aside);
  // Tools of a killed run may take a moment to end, and write until then.
  await rm(aside, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  return true;
}
