/** Keeps machines that have booted, in the cache: one for each set of ingredients that makes a machine what it is. */
import { copyFile, open } from 'node:fs/promises';
import path from 'node:path';
import { type Cache, type Ingredients, type UsedEntry } from '../provision';
import { type ChecksummedExtent, checksumsOf, isUndamaged } from './checksums';

/** Bump when what is in a snapshot changes in a way that its ingredients do not show. */
const SNAPSHOT_RECIPE = 2;
const STEP = 'snapshot';
const MACHINE_FILE = 'machine';
const CONSOLE_FILE = 'console.log';
/** How long another process, which saves the same machine at this moment, is waited for. */
const OTHERS_TIMEOUT_MS = 30_000;

interface SnapshotManifest {
  /** For people who look at the cache. */
  readonly description: string;
  readonly checksums: readonly ChecksummedExtent[];
}

/** A saved machine, which nobody removes before it is released. */
export class Snapshot implements Disposable {
  constructor(
    private readonly cache: Cache,
    private readonly entry: UsedEntry<SnapshotManifest>,
  ) {}

  /** What `loadMachine` takes. */
  get file(): string {
    return path.join(this.entry.folder, MACHINE_FILE);
  }

  /** What the machine had written to its console by then. */
  get consoleLog(): string {
    return path.join(this.entry.folder, CONSOLE_FILE);
  }

  /** Reads the whole snapshot and rejects if it is not what was written. */
  async verify(): Promise<void> {
    if (await isUndamaged(this.file, this.entry.manifest.checksums)) return;
    throw new Error(`the snapshot ${this.entry.folder} is damaged: its checksums do not match`);
  }

  /** Removes it: it has not done. */
  discard(): void {
    this.cache.discard(this.entry);
  }

  [Symbol.dispose](): void {
    this.entry.release();
  }
}

export interface MachineToKeep {
  /** For people. */
  readonly description: string;
  /** The file. */
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
   * Lets `save` write the machine to a file, and keeps it along with its console log. `saved` is called when the file is written and the machine can
   * go on; to get it to the disk and to check-sum it takes a while longer. Nothing is kept when any of it fails, and
   * nothing is saved when another process has just kept the same machine.
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

/** The name that makes it count must not reach the disk before its contents do. */
async function writeThrough(file: string): Promise<void> {
  await using handle = await open(file, 'r+');
  await handle.datasync();
}
