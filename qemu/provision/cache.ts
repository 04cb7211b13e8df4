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
  existsSync,
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
import { homedir } from 'node:os';
import path from 'node:path';

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
  return path.join(homedir(), '.cache/ghostcard');
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

  /** The entry, if it is there. */
  find<M>(step: string, ingredients: Ingredients): Entry<M> | undefined {
    const folder = this.#entryFolder(step, ingredients);
    const file = path.join(folder, 'manifest.json');
    if (!existsSync(file)) return undefined;
    markUsed(folder);
    const { manifest } = JSON.parse(readFileSync(file, 'utf8')) as { manifest: M };
    return { folder, manifest };
  }

  /** Builds the entry: `build` fills a folder and says what goes into the manifest. Call it with the lock held. */
  async publish<M>(step: string, ingredients: Ingredients, build: (folder: string) => Promise<M>): Promise<Entry<M>> {
    const work = path.join(this.folder, 'work');
    mkdirSync(work, { recursive: true });
    mkdirSync(path.join(this.folder, 'entries'), { recursive: true });
    const temporary = mkdtempSync(path.join(work, `${step}-`));
    try {
      const manifest = await build(temporary);
      const text = `${JSON.stringify({ step, ingredients, manifest }, undefined, 2)}\n`;
      writeFileSync(path.join(temporary, 'manifest.json'), text);
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

/** For `tidy`. A cache that cannot be written can still be used. */
function markUsed(folder: string): void {
  try {
    utimesSync(folder, new Date(), new Date());
  } catch (error) {
    if (!['EROFS', 'EACCES', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}
