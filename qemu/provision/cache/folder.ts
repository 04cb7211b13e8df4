/**
 * The location of the cache, and its layout:
 *
 *   entries/STEP-KEY/    a built entry, with manifest.json; its users hold its lock, shared (folder-lock.ts)
 *   work/                entries being built or removed, with their lock held exclusively; without a lock, leftovers
 *   apt/                 package lists and downloads that a later provisioning continues with
 *   transpiled/          JavaScript compiled from TypeScript
 *   lock                 one provisioning at a time, see lock.ts
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { cacheFolder as ownCacheFolder } from '../../../emulator/folders';
import { ProvisionError } from '../basis/errors';
import { ROOM_CURE } from '../basis/tools';
import { type FileRecords } from './checksums';

/** @throws ProvisionError */
export function cacheFolder(env: NodeJS.ProcessEnv): string {
  const folder = ownCacheFolder(env);
  if (folder !== undefined) return folder;
  throw new ProvisionError({
    attempted: 'determining the folder of the cache',
    seen: 'this user has no home folder, and neither HOME nor XDG_CACHE_HOME is set',
    cure: 'set GHOSTCARD_CACHE to a folder that you can write to',
  });
}

const UNITS: Record<string, number> = { K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };
const DEFAULT_LIMIT_BYTES = 8 * 2 ** 30;

/**
 * Parses "512M", "4G", "1.5 GiB" to bytes; undefined for anything else. A number other than 0 needs a unit, because 5
 * might mean gigabytes as well as bytes.
 */
export function parseSize(text: string): number | undefined {
  if (/^\s*0\s*$/.test(text)) return 0;
  const [, number, unit] = /^\s*(\d+(?:\.\d+)?)\s*([KMGT])(?:i?B)?\s*$/i.exec(text) ?? [];
  return unit === undefined ? undefined : Math.floor(Number(number) * UNITS[unit.toUpperCase()]!);
}

/**
 * The size of the cache above which the least recently used entries are removed. @throws ProvisionError if
 * GHOSTCARD_CACHE_LIMIT is not a size
 */
export function cacheLimitBytes(env: NodeJS.ProcessEnv): number {
  const text = env.GHOSTCARD_CACHE_LIMIT ?? '';
  const bytes = text === '' ? DEFAULT_LIMIT_BYTES : parseSize(text);
  if (bytes !== undefined) return bytes;
  throw new ProvisionError({
    attempted: 'reading the size limit of the cache',
    seen: `GHOSTCARD_CACHE_LIMIT is ${JSON.stringify(text)}`,
    cure: 'set it to a number with a unit (K, M, G, T), such as 4G or 500M, or unset it',
  });
}

export const entriesOf = (cache: string): string => path.join(cache, 'entries');
export const workOf = (cache: string): string => path.join(cache, 'work');
export const aptOf = (cache: string): string => path.join(cache, 'apt');
export const lockOf = (cache: string): string => path.join(cache, 'lock');

export const MANIFEST = 'manifest.json';

/** The contents of an entry's manifest.json. */
export interface ManifestFile<M> {
  readonly step: string;
  readonly ingredients: Readonly<Record<string, unknown>>;
  readonly manifest: M;
  /** Of the entry's files; absent in entries of early versions. */
  readonly files?: FileRecords;
  /** Its disk usage, also absent there. */
  readonly diskBytes?: number;
}

/** Codes of the error that a file is not there. */
export const ABSENT: readonly string[] = ['ENOENT', 'ENOTDIR'];

/** The manifest of the entry in `folder`; undefined if it is missing or damaged. */
export function readManifest<M>(folder: string): ManifestFile<M> | undefined {
  try {
    return JSON.parse(readFileSync(path.join(folder, MANIFEST), 'utf8')) as ManifestFile<M>;
  } catch (error) {
    if (error instanceof SyntaxError || ABSENT.includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}

const CACHE_ERRORS = ['EACCES', 'EROFS', 'EPERM', 'ENOSPC', 'EDQUOT', 'ENOTDIR', 'EIO'];
/** Errors of mkdir on a read-only file system, and of a file in place of a folder. */
const MKDIR_ERRORS = ['ENOENT', 'EEXIST'];

/** Replaces an error of writing to the cache by one for people; returns any other error unchanged. */
export function explainCacheError(error: unknown, folder: string): unknown {
  const { code = '', message, syscall, path: file = folder } = error as NodeJS.ErrnoException;
  // Locks are only taken in the cache. What cannot be made may be a parent of its folder.
  const isUnlockable = syscall === 'flock';
  const isUnmade = syscall === 'mkdir' && MKDIR_ERRORS.includes(code);
  const isInside = path.resolve(file).startsWith(folder) || (syscall === 'mkdir' && isBelow(folder, file));
  if (!isInside || !(CACHE_ERRORS.includes(code) || isUnmade || isUnlockable)) return error;
  const room = ['ENOSPC', 'EDQUOT'].includes(code);
  return new ProvisionError(
    {
      attempted: `writing to the cache ${folder}`,
      seen: message,
      cure: isUnlockable
        ? 'set GHOSTCARD_CACHE to a folder on a file system that supports locks (flock)'
        : room
          ? ROOM_CURE
          : 'make it writable, or set GHOSTCARD_CACHE to another folder',
    },
    { cause: error },
  );
}

const isBelow = (folder: string, parent: string): boolean => folder.startsWith(`${path.resolve(parent)}/`);
