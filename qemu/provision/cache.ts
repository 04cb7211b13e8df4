/**
 * The cache: entries that are complete or absent. An entry is keyed by what it is made from, is built in a folder of its
 * own beside the others and gets its name by one rename when it is complete, so that a run that ends at any moment
 * leaves nothing half done under a name that counts.
 *
 *   entries/STEP-KEY/    what was built, with manifest.json
 *   work/                what is being built, removed by the next run that builds
 *   apt/                 package lists and downloads that a later run goes on with
 *   lock                 see lock.ts
 */
import { createHash } from 'node:crypto';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { homedir, userInfo } from 'node:os';
import path from 'node:path';
import { ProvisionError } from './errors';
import { filesBelow } from './host-files';
import { ROOM_CURE } from './tools';

/** What an entry is made from: anything JSON can tell apart. */
export type Ingredients = Readonly<Record<string, unknown>>;

export interface Entry<M> {
  readonly folder: string;
  /** What the build had to say about its result: versions, sizes, names. */
  readonly manifest: M;
}

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

/** The same ingredients give the same key, whatever the order in which they are written. */
export function cacheKey(ingredients: Ingredients): string {
  return createHash('sha256').update(canonical(ingredients)).digest('hex').slice(0, 16);
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonical(member)}`).join(',')}}`;
}

/** Entries of one step that are kept: several checkouts may share a cache. */
const KEPT_PER_STEP = 8;

export class Cache {
  constructor(readonly folder: string) {}

  get lockFile(): string {
    return path.join(this.folder, 'lock');
  }

  /** Folder for an apt root, kept from run to run until what it was for is complete. */
  aptFolder(name: string): string {
    return path.join(this.folder, 'apt', name);
  }

  /** The entry, if it is there and none of its files has gone or changed size (a cleaner of old files, a lost write). */
  find<M>(step: string, ingredients: Ingredients): Entry<M> | undefined {
    const folder = this.#entryFolder(step, ingredients);
    const complete = readManifest<M>(path.join(folder, MANIFEST));
    if (complete === undefined || !isWhole(folder, complete.files ?? {})) return undefined;
    markUsed(folder);
    return { folder, manifest: complete.manifest };
  }

  /** Builds the entry: `build` fills a folder and says what goes into the manifest. Call it with the lock held. */
  async publish<M>(step: string, ingredients: Ingredients, build: (folder: string) => Promise<M>): Promise<Entry<M>> {
    const work = path.join(this.folder, 'work');
    mkdirSync(work, { recursive: true });
    mkdirSync(path.join(this.folder, 'entries'), { recursive: true });
    const temporary = mkdtempSync(path.join(work, `${step}-`));
    try {
      const manifest = await build(temporary);
      const text = `${JSON.stringify({ step, ingredients, manifest, files: sizesOf(temporary) }, undefined, 2)}\n`;
      writeFileSync(path.join(temporary, MANIFEST), text);
      const folder = this.#entryFolder(step, ingredients);
      rmSync(folder, { recursive: true, force: true });
      renameSync(temporary, folder);
      return { folder, manifest };
    } finally {
      rmSync(temporary, { recursive: true, force: true });
    }
  }

  /** Removes what runs that were killed have left behind. Call it with the lock held. */
  removeLeftovers(): void {
    // Tools of a killed run may take a moment to end, and write until then.
    rmSync(path.join(this.folder, 'work'), { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  }

  /**
   * When everything is complete: removes package lists and downloads, and of each step's entries the least recently
   * used beyond a few (every change of a guest program makes a new image). Call it with the lock held.
   */
  tidy(): void {
    rmSync(path.join(this.folder, 'apt'), { recursive: true, force: true });
    const entries = path.join(this.folder, 'entries');
    const newestFirst = readdirSync(entries)
      .map((name) => ({ name, usedMs: statSync(path.join(entries, name)).mtimeMs }))
      .sort((a, b) => b.usedMs - a.usedMs);
    const seen = new Map<string, number>();
    for (const { name } of newestFirst) {
      const step = name.replace(/-[^-]*$/, '');
      const rank = (seen.get(step) ?? 0) + 1;
      seen.set(step, rank);
      if (rank > KEPT_PER_STEP) rmSync(path.join(entries, name), { recursive: true });
    }
  }

  #entryFolder(step: string, ingredients: Ingredients): string {
    return path.join(this.folder, 'entries', `${step}-${cacheKey(ingredients)}`);
  }
}

const MANIFEST = 'manifest.json';
const ABSENT = ['ENOENT', 'ENOTDIR'];

interface ManifestFile<M> {
  readonly manifest: M;
  /** Sizes of the entry's files; absent from entries of early versions. */
  readonly files?: Readonly<Record<string, number>>;
}

function readManifest<M>(file: string): ManifestFile<M> | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as ManifestFile<M>;
  } catch (error) {
    if (error instanceof SyntaxError || ABSENT.includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}

/** Size of every regular file below a folder. */
function sizesOf(folder: string): Record<string, number> {
  return Object.fromEntries(filesBelow(folder).map((name) => [name, statSync(path.join(folder, name)).size]));
}

function isWhole(folder: string, files: Readonly<Record<string, number>>): boolean {
  return Object.entries(files).every(
    ([name, size]) => statSync(path.join(folder, name), { throwIfNoEntry: false })?.size === size,
  );
}

/** For `tidy`. A cache that cannot be written can still be used. */
function markUsed(folder: string): void {
  try {
    utimesSync(folder, new Date(), new Date());
  } catch (error) {
    if (!['EROFS', 'EACCES', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}
