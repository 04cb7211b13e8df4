/** Keeps snapshots of booted machines in the cache, one for each identity of a machine. */
import { copyFile, open } from 'node:fs/promises';
import path from 'node:path';
import { type Cache, type Ingredients, type UsedEntry } from '../provision';
import { type ChecksummedExtent, checksumsOf, isUndamaged } from './checksums';

/** Increase when the contents of a snapshot change in a way that its ingredients do not show. */
const SNAPSHOT_RECIPE = 2;
const STEP = 'snapshot';
const MACHINE_FILE = 'machine';
const CONSOLE_FILE = 'console.log';
/** How long to wait for another process that is saving the same machine. */
const OTHERS_TIMEOUT_MS = 30_000;

interface SnapshotManifest {
  /** For people who look at the cache. */
  readonly description: string;
  readonly checksums: readonly ChecksummedExtent[];
}

/** A saved machine. It is not removed from the cache before it is released. */
export class Snapshot implements Disposable {
  constructor(
    private readonly cache: Cache,
    private readonly entry: UsedEntry<SnapshotManifest>,
  ) {}

  /** The file for `loadMachine`. */
  get file(): string {
    return path.join(this.entry.folder, MACHINE_FILE);
  }

  /** The console output up to when the machine was saved. */
  get consoleLog(): string {
    return path.join(this.entry.folder, CONSOLE_FILE);
  }

  /** Reads the whole snapshot. @throws Error if it is damaged */
  async verify(): Promise<void> {
    if (await isUndamaged(this.file, this.entry.manifest.checksums)) return;
    throw new Error(`the snapshot ${this.entry.folder} is damaged: its checksums do not match`);
  }

  /** Removes an unusable snapshot. */
  discard(): void {
    this.cache.discard(this.entry);
  }

  [Symbol.dispose](): void {
    this.entry.release();
  }
}

export interface MachineToKeep {
  /** A description for people. */
  readonly description: string;
  /** Path of the console log. */
  readonly consoleLog: string;
  readonly save: (file: string) => Promise<void>;
  readonly saved: () => void;
}

export class SnapshotStore {
  constructor(private readonly cache: Cache) {}

  find(machine: Ingredients): Snapshot | undefined {
    const entry = this.cache.use<SnapshotManifest>(STEP, ingredientsOf(machine));
    return entry && new Snapshot(this.cache, entry);
  }

  /**
   * Saves a machine: calls `save` with the path of a file to write, and keeps that file and the console log. Calls
   * `saved` when the file is written and the machine can continue; flushing and checksumming take a while longer. If
   * anything fails, nothing is kept. If another process has just saved the same machine, nothing is saved.
   */
  async keep(machine: Ingredients, { description, consoleLog, save, saved }: MachineToKeep): Promise<void> {
    using _kept = await this.cache.publish<SnapshotManifest>(
      STEP,
      ingredientsOf(machine),
      async (folder) => {
        const file = path.join(folder, MACHINE_FILE);
        await save(file);
        await copyFile(consoleLog, path.join(folder, CONSOLE_FILE));
        saved();
        await writeThrough(file);
        return { description, checksums: await checksumsOf(file) };
      },
      { timeoutMs: OTHERS_TIMEOUT_MS },
    );
  }
}

const ingredientsOf = (machine: Ingredients): Ingredients => ({ recipe: SNAPSHOT_RECIPE, machine });

/** The entry's final name must not reach the disk before its contents do. */
async function writeThrough(file: string): Promise<void> {
  await using handle = await open(file, 'r+');
  await handle.datasync();
}
