/**
 * Removes unused items from the cache: leftovers of killed runs, then the least recently used ones. Any number of
 * processes may do so concurrently, while others build and use entries: an item is removed only with its lock held, and
 * is renamed first, so that no process ever finds a partial one.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, lstatSync, renameSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { makeFolder } from '../../../emulator/native';
import { lockOf, workOf } from './folder';
import { type CacheItem, type CacheItemKind, listCache } from './items';
import { ProvisionError } from '../basis/errors';
import { FolderLock } from './folder-lock';
import { withLock, tryLock } from './lock';

/** Which items to remove. Leftovers of killed runs are always removed. */
export type PruneOptions =
  | { readonly all: true }
  /** The least recently used ones, until no more than this is left. */
  | { readonly keepBytes: number }
  /** Those not used since then, in milliseconds since 1970. */
  | { readonly unusedSince: Date };

export interface Pruned {
  readonly removed: readonly CacheItem[];
  /** Items that would have been removed if they were not in use. */
  readonly inUse: readonly CacheItem[];
  readonly freedBytes: number;
}

const PRUNED: readonly CacheItemKind[] = ['entry', 'downloads', 'transpiled'];

export async function pruneCache(cache: string, options: PruneOptions): Promise<Pruned> {
  const items = await listCache(cache);
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
  for (const item of await listCache(cache)) if (item.kind === 'leftover') await remove(cache, item);
}

const sumOf = (items: readonly CacheItem[]): number => items.reduce((sum, { bytes }) => sum + bytes, 0);

/** Whether the item was removed; if not, it is in use. */
async function remove(cache: string, { name, kind }: CacheItem): Promise<boolean> {
  const file = path.join(cache, name);
  if (kind !== 'downloads') return await removeUnlocked(cache, file);
  try {
    return await withLock(lockOf(cache), { tryLock, timeoutMs: 0 }, () => removeUnlocked(cache, file));
  } catch (error) {
    if (error instanceof ProvisionError) return false; // a provisioning is running
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
  makeFolder(path.dirname(aside));
  renameSync(file, aside);
  // Tools of a killed run may need a moment to end, and write until then.
  await rm(aside, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  return true;
}
