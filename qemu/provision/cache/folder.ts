/**
 * Where the cache is and what lies where in it:
 *
 *   entries/STEP-KEY/    what was built, with manifest.json; who uses it holds its lock, shared (folder-lock.ts)
 *   work/                what is being made or removed; who does holds its lock, exclusive: without one it is a leftover
 *   apt/                 package lists and downloads that a later provisioning goes on with
 *   transpiled/          JavaScript made from TypeScript
 *   lock                 one provisioning at a time, see lock.ts
 */
import { readFileSync } from 'node:fs';
import { homedir, userInfo } from 'node:os';
import path from 'node:path';
import { ProvisionError } from '../basis/errors';
import { ROOM_CURE } from '../basis/tools';

export function cacheFolder(env: NodeJS.ProcessEnv): string {
  if (env.GHOSTCARD_CACHE) return path.resolve(env.GHOSTCARD_CACHE);
  if (env.XDG_CACHE_HOME && path.isAbsolute(env.XDG_CACHE_HOME)) return path.join(env.XDG_CACHE_HOME, 'ghostcard');
  return path.join(homeFolder(), '.cache/ghostcard');
}

/** HOME may be empty, and a user may be one that the system does not know: a container's, say. */
function homeFolder(): string {
  for (const ask of [homedir, () => userInfo().homedir]) {
    try {
      const folder = ask();
      if (path.isAbsolute(folder)) return folder;
    } catch {
      // the system does not know this user
    }
  }
  throw new ProvisionError({
    attempted: 'looking for the folder of the cache',
    seen: 'this user has no home folder, and neither HOME nor XDG_CACHE_HOME names one',
    cure: 'set GHOSTCARD_CACHE to a folder that you can write to',
  });
}

const UNITS: Record<string, number> = { K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };
const DEFAULT_LIMIT_BYTES = 4 * 2 ** 30;

/**
 * "512M", "4G", "1.5 GiB" in bytes; undefined for anything else. A number without a unit is nothing but 0: who writes 5
 * means gigabytes as likely as bytes.
 */
export function parseSize(text: string): number | undefined {
  if (/^\s*0\s*$/.test(text)) return 0;
  const [, number, unit] = /^\s*(\d+(?:\.\d+)?)\s*([KMGT])(?:i?B)?\s*$/i.exec(text) ?? [];
  return unit === undefined ? undefined : Math.floor(Number(number) * UNITS[unit.toUpperCase()]!);
}

/** How large the cache may grow before what was used longest ago is removed. */
export function cacheLimitBytes(env: NodeJS.ProcessEnv): number {
  const text = env.GHOSTCARD_CACHE_LIMIT ?? '';
  const bytes = text === '' ? DEFAULT_LIMIT_BYTES : parseSize(text);
  if (bytes !== undefined) return bytes;
  throw new ProvisionError({
    attempted: 'reading how large the cache may grow',
    seen: `GHOSTCARD_CACHE_LIMIT is ${JSON.stringify(text)}`,
    cure: 'set it to a number with a unit (K, M, G, T), such as 4G or 500M, or unset it',
  });
}

export const entriesOf = (cache: string): string => path.join(cache, 'entries');
export const workOf = (cache: string): string => path.join(cache, 'work');
export const aptOf = (cache: string): string => path.join(cache, 'apt');
export const transpiledOf = (cache: string): string => path.join(cache, 'transpiled');
export const lockOf = (cache: string): string => path.join(cache, 'lock');

export const MANIFEST = 'manifest.json';

/** What an entry's manifest.json holds. */
export interface ManifestFile<M> {
  readonly step: string;
  readonly manifest: M;
  /** Sizes of the entry's files; absent from entries of early versions. */
  readonly files?: Readonly<Record<string, number>>;
}

const ABSENT = ['ENOENT', 'ENOTDIR'];

/** The manifest of the entry in `folder`, unless it is missing or damaged. */
export function readManifest<M>(folder: string): ManifestFile<M> | undefined {
  try {
    return JSON.parse(readFileSync(path.join(folder, MANIFEST), 'utf8')) as ManifestFile<M>;
  } catch (error) {
    if (error instanceof SyntaxError || ABSENT.includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}

const CACHE_FAULTS = ['EACCES', 'EROFS', 'EPERM', 'ENOSPC', 'EDQUOT', 'ENOTDIR', 'EIO'];
/** What making folders says of a file system that is read-only, and of a file in their place. */
const MKDIR_FAULTS = ['ENOENT', 'EEXIST'];

/** What `error` means to a person when it says that the cache could not be written; else the error itself. */
export function explainCacheFault(error: unknown, folder: string): unknown {
  const { code = '', message, syscall, path: file = folder } = error as NodeJS.ErrnoException;
  const isFault = CACHE_FAULTS.includes(code) || (syscall === 'mkdir' && MKDIR_FAULTS.includes(code));
  if (!isFault || !path.resolve(file).startsWith(folder)) return error;
  const room = ['ENOSPC', 'EDQUOT'].includes(code);
  return new ProvisionError(
    {
      attempted: `writing to the cache ${folder}`,
      seen: message,
      cure: room ? ROOM_CURE : 'make it a folder that you can write to, or set GHOSTCARD_CACHE to another',
    },
    { cause: error },
  );
}
