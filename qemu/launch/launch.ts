/**
 * Launches a guest: restores its snapshot if there is a usable one, else boots it. Then, in both cases, sets the clock,
 * mounts the host's folders and plugs in the cards.
 */
import { Cache, type Ingredients } from '../provision';
import { type Snapshot, type SnapshotStore } from '../snapshot';
import { beginWithBootConsole } from './artifacts';
import { bringUp, type LaunchSteps, startMachine } from './boot';
import { explainCpuModel } from './cpu-model';
import { Ending } from './ending';
import { GuestError, RestoreError } from './errors';
import { Guest } from './guest';
import { machineDescription, machineIdentity } from './machine-identity';
import { type LaunchOptions } from './options';
import { RunFolder } from './run-folder';

/**
 * Resolves when the agent answers and the cards are plugged in. After a failure nothing is left behind. @throws
 * GuestBootError, QemuExitedError, GuestPanicError, or the reason of `options.signal`
 */
export async function launchGuest(options: LaunchOptions): Promise<Guest> {
  options.signal?.throwIfAborted();
  const startedMs = performance.now();
  const launch = new Launch(options, (phase, message) =>
    options.onProgress?.({ phase, message, elapsedMs: Math.round(performance.now() - startedMs) }),
  );
  try {
    return await launch.start();
  } catch (error) {
    if (error instanceof GuestError) await explainDamage(error, options);
    throw error;
  }
}

/** What does not boot may be damaged: reads all of it, removes what is, and says so. */
async function explainDamage(error: GuestError, { provisioned: { cacheDir }, signal }: LaunchOptions): Promise<void> {
  if (cacheDir === undefined || signal?.aborted) return;
  const damaged = await new Cache(cacheDir).discardDamaged();
  if (damaged.length === 0) return;
  error.message += `\nThe cache was damaged: ${damaged.join('; ')}. It has been removed, and the next start makes it again.`;
}

class Launch {
  constructor(
    private readonly options: LaunchOptions,
    private readonly progress: LaunchSteps,
  ) {}

  async start(): Promise<Guest> {
    const { snapshots, accel, extraQemuArgs = [] } = this.options;
    // A snapshot on KVM would depend on the CPU, and the effect of additional arguments is unknown.
    if (snapshots === undefined || accel === 'kvm' || extraQemuArgs.length > 0) {
      return this.furnished(await this.attempt({ cardsAtBoot: true }));
    }
    // Computed before QEMU reads its files: one that is replaced meanwhile makes a different machine.
    const machine = machineIdentity(this.options);
    const restored = await this.restore(snapshots, machine);
    if (restored) return this.furnished(restored);
    const booted = await this.attempt({ cardsAtBoot: false });
    return this.furnished(booted, () => this.save(booted, snapshots, machine));
  }

  /** Undefined if there is no usable snapshot. */
  private async restore(snapshots: SnapshotStore, machine: Ingredients): Promise<Guest | undefined> {
    using snapshot = this.find(snapshots, machine);
    if (snapshot === undefined) return undefined;
    try {
      return await this.attempt({ cardsAtBoot: false, snapshot });
    } catch (error) {
      this.options.signal?.throwIfAborted();
      if (!(error instanceof RestoreError)) throw error; // a boot would fail in the same way
      this.progress(
        'no-snapshot',
        `The snapshot of this guest is unusable, falling back to a cold boot: ${headline(error)}`,
      );
      discard(snapshot);
      return undefined;
    }
  }

  /** A cache that cannot be read counts as one without snapshots. */
  private find(snapshots: SnapshotStore, machine: Ingredients): Snapshot | undefined {
    try {
      return snapshots.find(machine);
    } catch (error) {
      this.progress(
        'no-snapshot',
        `The snapshot of this guest cannot be read, falling back to a cold boot: ${headline(error)}`,
      );
      return undefined;
    }
  }

  private save(guest: Guest, snapshots: SnapshotStore, machine: Ingredients): Promise<void> {
    this.progress('saving', 'Saving a snapshot of the booted guest, for faster starts');
    return guest.saveTo(snapshots, machine, machineDescription(this.options), (error) =>
      this.progress('no-snapshot', `No snapshot was saved, so the next start is a cold boot again: ${headline(error)}`),
    );
  }

  /** Prepares the guest for use, and ends it if that fails. */
  private async furnished(guest: Guest, first?: () => Promise<void>): Promise<Guest> {
    try {
      await first?.();
      await guest.furnish();
      return guest;
    } catch (error) {
      await guest.fail(error).catch(warn);
      throw error;
    }
  }

  private async attempt({ cardsAtBoot, snapshot }: { cardsAtBoot: boolean; snapshot?: Snapshot }): Promise<Guest> {
    const { options, progress } = this;
    const folder = options.runDir === undefined ? await RunFolder.create() : undefined;
    const runDir = options.runDir ?? folder!.path;
    const mode = { cardsAtBoot, incoming: snapshot !== undefined };
    const machine = await startMachine(options, runDir, mode).catch(async (error: unknown) => {
      await folder?.close();
      throw error;
    });
    const ending = new Ending(machine, runDir, folder, options);
    try {
      const booted = await bringUp(machine, options, progress, snapshot);
      // Only for people to read, so a failure is ignored.
      if (snapshot) await beginWithBootConsole(runDir, snapshot.consoleLog).catch(() => {});
      return new Guest(machine, booted, ending, { ...options, cardsAtBoot });
    } catch (error) {
      machine.kill(error);
      const explained = await explainCpuModel(error, options);
      // A cold boot follows an unusable snapshot, and the artifacts are those of the booted guest.
      await ending.finish({ keepArtifacts: !(error instanceof RestoreError) }).catch(warn);
      throw explained;
    }
  }
}

const headline = (error: unknown): string => (error as Error).message.split('\n')[0]!;

/** If it cannot be removed, no new one can be saved either, which is reported. */
function discard(snapshot: Snapshot): void {
  try {
    snapshot.discard();
  } catch {
    // a read-only cache
  }
}

/** The caller must see the first error, so a failed clean-up is only a warning. */
function warn(error: Error): void {
  process.emitWarning(`Clean-up after a failed launch: ${error.message}`);
}
