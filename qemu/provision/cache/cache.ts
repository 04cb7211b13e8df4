/**
 * The cache: entries that are complete or absent. An entry is keyed by what it is made from, is built in a folder of its
 * own and gets its name by one rename when it is complete, so that a run that ends at any moment leaves nothing half done
 * under a name that counts. Whoever makes an entry holds the lock of the folder it is built in, and whoever uses one
 * holds the entry's: different entries are made side by side, each is made once, and nothing in use is ever pruned.
 * What lies where is said in cache-folder.ts.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { aptOf, cacheLimitBytes, entriesOf, explainCacheFault, lockOf, MANIFEST, readManifest, workOf } from './folder';
import { pruneCache, removeLeftovers } from './prune';
import { ProvisionError } from '../basis/errors';
import { FolderLock } from './folder-lock';
import { filesBelow } from '../basis/host-files';

/** What an entry is made from: anything JSON can tell apart. */
export type Ingredients = Readonly<Record<string, unknown>>;

/** What a build has to say about its result: versions, names, and in words for people what it is. */
export interface Described {
  /** "QEMU 11.1.3 of trixie-backports", shown by `ghostcard cache`. */
  readonly description: string;
}

export interface Entry<M> {
  readonly folder: string;
  readonly manifest: M;
}

/** An entry that stays where it is until it is let go of, or this process ends. */
export interface UsedEntry<M> extends Entry<M>, Disposable {
  readonly lock: FolderLock;
  release(): void;
}

export interface PublishOptions {
  readonly signal?: AbortSignal | undefined;
  /** Told once, when another process is making this very entry. */
  readonly onWait?: () => void;
  /** Longest time to wait for it. */
  readonly timeoutMs?: number;
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

const LOOK_EVERY_MS = 100;
/** Longer than any build that still makes progress. */
const DEFAULT_TIMEOUT_MS = 3_600_000;

/** What `find` has given to this process, by folder. */
const foundEntries = new Map<string, UsedEntry<unknown>>();

export class Cache {
  constructor(
    readonly folder: string,
    /** Publishing removes what was used longest ago until the cache is no larger. */
    readonly limitBytes = cacheLimitBytes(process.env),
  ) {}

  get lockFile(): string {
    return lockOf(this.folder);
  }

  /** Folder for an apt root, kept from run to run until what it was for is complete. */
  aptFolder(name: string): string {
    return path.join(aptOf(this.folder), name);
  }

  /** As `use`, for as long as this process lives. */
  find<M>(step: string, ingredients: Ingredients): Entry<M> | undefined {
    const known = foundEntries.get(this.#entryFolder(step, ingredients));
    const used = this.use<M>(step, ingredients);
    if (used === undefined) return undefined;
    if (known?.lock.isOn(used.folder)) {
      used.release();
    } else {
      known?.release();
      foundEntries.set(used.folder, used);
    }
    return { folder: used.folder, manifest: used.manifest };
  }

  /**
   * The entry, if it is there and none of its files has gone or changed size (a cleaner of old files, a lost write).
   * It cannot be pruned until it is released.
   */
  use<M>(step: string, ingredients: Ingredients): UsedEntry<M> | undefined {
    const folder = this.#entryFolder(step, ingredients);
    const lock = FolderLock.take(folder, 'shared');
    if (lock === undefined) return undefined;
    const complete = readManifest<M>(folder);
    if (complete === undefined || !isWhole(folder, complete.files ?? {})) {
      lock.release();
      return undefined;
    }
    markUsed(folder);
    return usedEntry(folder, complete.manifest, lock);
  }

  /**
   * Builds the entry: `build` fills a folder and says what goes into the manifest. If another process is making the very
   * same entry, its result is waited for; if it is there by then, it is not built again.
   */
  async publish<M extends Described>(
    step: string,
    ingredients: Ingredients,
    build: (folder: string) => Promise<M>,
    options: PublishOptions = {},
  ): Promise<UsedEntry<M>> {
    const entry = await this.#inWorkshop(step, ingredients, build, options).catch((error: unknown) => {
      throw explainCacheFault(error, this.folder);
    });
    await pruneCache(this.folder, { keepBytes: this.limitBytes }).catch((error: Error) => {
      process.emitWarning(`The cache ${this.folder} could not be kept below its limit: ${error.message}`);
    });
    return entry;
  }

  /** Removes an entry whose contents have turned out to be damaged, unless another process has replaced it already. */
  discard(entry: UsedEntry<unknown>): void {
    const workshop = path.join(workOf(this.folder), path.basename(entry.folder));
    mkdirSync(workshop, { recursive: true });
    using lock = FolderLock.take(workshop, 'exclusive');
    if (lock === undefined) return; // somebody is making it anew
    if (entry.lock.isOn(entry.folder)) renameSync(entry.folder, path.join(workshop, 'discarded'));
    rmSync(workshop, { recursive: true, force: true });
  }

  /** When everything is complete: removes package lists and downloads. Call it with the provisioning lock held. */
  tidy(): void {
    rmSync(aptOf(this.folder), { recursive: true, force: true });
  }

  /** Removes what runs that were killed have left half done. */
  async removeLeftovers(): Promise<void> {
    await removeLeftovers(this.folder);
  }

  #entryFolder(step: string, ingredients: Ingredients): string {
    return path.join(entriesOf(this.folder), `${step}-${cacheKey(ingredients)}`);
  }

  /** Where an entry is built. Its lock says that somebody is at it. */
  #workshop(step: string, ingredients: Ingredients): string {
    return path.join(workOf(this.folder), `${step}-${cacheKey(ingredients)}`);
  }

  async #inWorkshop<M extends Described>(
    step: string,
    ingredients: Ingredients,
    build: (folder: string) => Promise<M>,
    options: PublishOptions,
  ): Promise<UsedEntry<M>> {
    const workshop = this.#workshop(step, ingredients);
    using _lock = await this.#enterWorkshop(workshop, options);
    try {
      return this.use<M>(step, ingredients) ?? (await this.#make(step, ingredients, workshop, build));
    } finally {
      rmSync(workshop, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
    }
  }

  async #enterWorkshop(workshop: string, options: PublishOptions): Promise<FolderLock> {
    const { signal, onWait, timeoutMs = DEFAULT_TIMEOUT_MS } = options;
    const deadline = performance.now() + timeoutMs;
    for (let tries = 0; ; tries += 1) {
      mkdirSync(workshop, { recursive: true });
      const lock = FolderLock.take(workshop, 'exclusive');
      if (lock !== undefined) return lock;
      if (tries === 0) onWait?.();
      if (performance.now() >= deadline) break;
      await delay(LOOK_EVERY_MS, undefined, signal === undefined ? {} : { signal });
    }
    throw new ProvisionError({
      attempted: `waiting for another ghostcard that is making ${path.basename(workshop)}`,
      seen: `it still holds the lock of ${workshop} after ${timeoutMs} ms`,
      cure: 'see what that process is doing, end it if it hangs, and run again',
    });
  }

  async #make<M extends Described>(
    step: string,
    ingredients: Ingredients,
    workshop: string,
    build: (folder: string) => Promise<M>,
  ): Promise<UsedEntry<M>> {
    const folder = this.#entryFolder(step, ingredients);
    const made = path.join(workshop, 'entry');
    // Tools of a killed run may take a moment to end, and write until then.
    rmSync(made, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
    mkdirSync(made);
    mkdirSync(path.dirname(folder), { recursive: true });
    const manifest = await build(made);
    const text = `${JSON.stringify({ step, ingredients, manifest, files: sizesOf(made) }, undefined, 2)}\n`;
    writeFileSync(path.join(made, MANIFEST), text);
    const lock = FolderLock.take(made, 'shared');
    if (lock === undefined) throw new Error(`${made} was taken away from under the process that builds it`);
    rmSync(path.join(workshop, 'damaged'), { recursive: true, force: true });
    if (statSync(folder, { throwIfNoEntry: false })) renameSync(folder, path.join(workshop, 'damaged'));
    renameSync(made, folder);
    return usedEntry(folder, manifest, lock);
  }
}

function usedEntry<M>(folder: string, manifest: M, lock: FolderLock): UsedEntry<M> {
  const release = (): void => lock.release();
  return { folder, manifest, lock, release, [Symbol.dispose]: release };
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

/** What was used longest ago is pruned first. A cache that cannot be written can still be used. */
function markUsed(folder: string): void {
  try {
    utimesSync(folder, new Date(), new Date());
  } catch (error) {
    if (!['EROFS', 'EACCES', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}
