/**
 * The cache: its entries are complete or absent. An entry is keyed by its ingredients. It is built in a work folder and
 * gets its name by a single rename when it is complete, so that a run that ends at any moment leaves no partial entry
 * under a valid name. The builder of an entry holds the lock of its work folder, and a user of an entry holds the
 * entry's lock. So different entries are built concurrently, each is built once, and no entry in use is pruned. The
 * layout is described in folder.ts.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { makeFolder } from '../../../emulator/native';
import { aptOf, cacheLimitBytes, entriesOf, explainCacheError, lockOf, MANIFEST, readManifest, workOf } from './folder';
import { damagedFiles, isWhole, recordFiles } from './checksums';
import { diskBytes } from './items';
import { pruneCache, removeLeftovers } from './prune';
import { ProvisionError } from '../basis/errors';
import { FolderLock } from './folder-lock';

/** What an entry is made from, as JSON values. */
export type Ingredients = Readonly<Record<string, unknown>>;

/** What a build records about its result: versions, names, and a description for people. */
export interface Described {
  /** "QEMU 11.1.3 of trixie-backports", as shown by `ghostcard cache`. */
  readonly description: string;
}

export interface Entry<M> {
  readonly folder: string;
  readonly manifest: M;
}

/** An entry that is not removed until it is released, or this process ends. */
export interface UsedEntry<M> extends Entry<M>, Disposable {
  readonly lock: FolderLock;
  release(): void;
}

export interface PublishOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called once if another process is building the same entry. */
  readonly onWait?: () => void;
  /** Time limit for that. */
  readonly timeoutMs?: number;
}

/** The same ingredients give the same key, regardless of their order. */
export function cacheKey(ingredients: Ingredients): string {
  return createHash('sha256').update(canonical(ingredients)).digest('hex').slice(0, 16);
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonical(member)}`).join(',')}}`;
}

const POLL_INTERVAL_MS = 100;
/** Longer than any build that is making progress. */
const DEFAULT_TIMEOUT_MS = 3_600_000;

/** Entries that `find` has returned to this process, by folder. */
const foundEntries = new Map<string, UsedEntry<unknown>>();

export class Cache {
  constructor(
    readonly folder: string,
    /** Publishing removes the least recently used entries until the cache does not exceed this size. */
    readonly limitBytes = cacheLimitBytes(process.env),
  ) {}

  get lockFile(): string {
    return lockOf(this.folder);
  }

  /** Folder for an apt root, kept between runs until its packages are installed. */
  aptFolder(name: string): string {
    return path.join(aptOf(this.folder), name);
  }

  /** Like `use`, until this process ends. */
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
   * The entry, if it exists and none of its files is missing or has changed (because of a cleaner of old files, or a
   * lost write), as far as sizes and times show. It is not pruned until it is released.
   */
  use<M>(step: string, ingredients: Ingredients): UsedEntry<M> | undefined {
    const folder = this.#entryFolder(step, ingredients);
    const lock = FolderLock.take(folder, 'shared');
    if (lock === undefined) return undefined;
    const complete = readManifest<M>(folder);
    if (complete === undefined || !isWhole(folder, complete)) {
      lock.release();
      return undefined;
    }
    markUsed(folder);
    return usedEntry(folder, complete.manifest, lock);
  }

  /**
   * Builds an entry: `build` fills a folder and returns the manifest. If another process is building the same entry,
   * waits for its result. An entry that exists by then is not built again.
   */
  async publish<M extends Described>(
    step: string,
    ingredients: Ingredients,
    build: (folder: string) => Promise<M>,
    options: PublishOptions = {},
  ): Promise<UsedEntry<M>> {
    const entry = await this.#inWorkFolder(step, ingredients, build, options).catch((error: unknown) => {
      throw explainCacheError(error, this.folder);
    });
    await pruneCache(this.folder, { keepBytes: this.limitBytes }).catch((error: Error) => {
      process.emitWarning(`Cannot keep the cache ${this.folder} below its limit: ${error.message}`);
    });
    return entry;
  }

  /** Removes an entry whose contents are damaged, unless another process has already replaced it. */
  discard(entry: UsedEntry<unknown>): void {
    const workFolder = path.join(workOf(this.folder), path.basename(entry.folder));
    makeFolder(workFolder);
    using lock = FolderLock.take(workFolder, 'exclusive');
    if (lock === undefined) return; // another process is rebuilding it
    if (entry.lock.isOn(entry.folder)) renameSync(entry.folder, path.join(workFolder, 'discarded'));
    rmSync(workFolder, { recursive: true, force: true });
  }

  /** Reads all files of all entries, and yields each entry with those that are damaged. */
  async *verify(): AsyncGenerator<VerifiedEntry> {
    const entries = entriesOf(this.folder);
    for (const name of existsSync(entries) ? readdirSync(entries).sort() : []) {
      yield { name, ...(await verified(path.join(entries, name))) };
    }
  }

  /**
   * Reads all files of the entries that this process uses, removes those with damage, and returns what they are, with the
   * names of the damaged files.
   */
  async discardDamaged(): Promise<string[]> {
    const discarded: string[] = [];
    for (const entry of foundEntries.values()) {
      if (!entry.folder.startsWith(`${this.folder}/`) || !entry.lock.isOn(entry.folder)) continue;
      const { description, damaged } = await verified(entry.folder);
      if (damaged.length === 0) continue;
      this.discard(entry);
      discarded.push(`${description} (${damaged.join(', ')})`);
    }
    return discarded;
  }

  /** Removes package lists and downloads, when everything is complete. Call it with the provisioning lock held. */
  tidy(): void {
    rmSync(aptOf(this.folder), { recursive: true, force: true });
  }

  /** Removes partial results of runs that were killed. */
  async removeLeftovers(): Promise<void> {
    await removeLeftovers(this.folder);
  }

  #entryFolder(step: string, ingredients: Ingredients): string {
    return path.join(entriesOf(this.folder), `${step}-${cacheKey(ingredients)}`);
  }

  /** The folder that an entry is built in. Its lock is held during the build. */
  #workFolder(step: string, ingredients: Ingredients): string {
    return path.join(workOf(this.folder), `${step}-${cacheKey(ingredients)}`);
  }

  async #inWorkFolder<M extends Described>(
    step: string,
    ingredients: Ingredients,
    build: (folder: string) => Promise<M>,
    options: PublishOptions,
  ): Promise<UsedEntry<M>> {
    const workFolder = this.#workFolder(step, ingredients);
    using _lock = await this.#lockWorkFolder(workFolder, options);
    try {
      return this.use<M>(step, ingredients) ?? (await this.#make(step, ingredients, workFolder, build));
    } finally {
      rmSync(workFolder, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
    }
  }

  async #lockWorkFolder(workFolder: string, options: PublishOptions): Promise<FolderLock> {
    const { signal, onWait, timeoutMs = DEFAULT_TIMEOUT_MS } = options;
    const deadline = performance.now() + timeoutMs;
    for (let tries = 0; ; tries += 1) {
      makeFolder(workFolder);
      const lock = FolderLock.take(workFolder, 'exclusive');
      if (lock !== undefined) return lock;
      if (tries === 0) onWait?.();
      if (performance.now() >= deadline) break;
      await delay(POLL_INTERVAL_MS, undefined, signal === undefined ? {} : { signal });
    }
    throw new ProvisionError({
      attempted: `waiting for another ghostcard that is building ${path.basename(workFolder)}`,
      seen: `it still holds the lock of ${workFolder} after ${timeoutMs} ms`,
      cure: 'check what that process is doing, end it if it hangs, and run again',
    });
  }

  async #make<M extends Described>(
    step: string,
    ingredients: Ingredients,
    workFolder: string,
    build: (folder: string) => Promise<M>,
  ): Promise<UsedEntry<M>> {
    const folder = this.#entryFolder(step, ingredients);
    const made = path.join(workFolder, 'entry');
    // Tools of a killed run may need a moment to end, and write until then.
    rmSync(made, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
    mkdirSync(made);
    makeFolder(path.dirname(folder));
    const manifest = await build(made);
    const measured = { files: await recordFiles(made), diskBytes: await diskBytes(made) };
    const text = `${JSON.stringify({ step, ingredients, manifest, ...measured }, undefined, 2)}\n`;
    writeFileSync(path.join(made, MANIFEST), text);
    const lock = FolderLock.take(made, 'shared');
    if (lock === undefined) throw new Error(`${made} was removed while this process was building it`);
    rmSync(path.join(workFolder, 'damaged'), { recursive: true, force: true });
    if (statSync(folder, { throwIfNoEntry: false })) renameSync(folder, path.join(workFolder, 'damaged'));
    renameSync(made, folder);
    return usedEntry(folder, manifest, lock);
  }
}

/** What an entry is, and which of its files are damaged. */
export interface VerifiedEntry {
  /** Of its folder. */
  readonly name: string;
  readonly description: string;
  readonly damaged: readonly string[];
}

async function verified(folder: string): Promise<Omit<VerifiedEntry, 'name'>> {
  const manifest = readManifest<Described>(folder);
  if (manifest === undefined) return { description: path.basename(folder), damaged: [MANIFEST] };
  return { description: manifest.manifest.description, damaged: await damagedFiles(folder, manifest.files) };
}

function usedEntry<M>(folder: string, manifest: M, lock: FolderLock): UsedEntry<M> {
  const release = (): void => lock.release();
  return { folder, manifest, lock, release, [Symbol.dispose]: release };
}

/**
 * Records the time of use, because the least recently used entries are pruned first. A read-only cache can still be
 * used.
 */
function markUsed(folder: string): void {
  try {
    utimesSync(folder, new Date(), new Date());
  } catch (error) {
    if (!['EROFS', 'EACCES', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}
