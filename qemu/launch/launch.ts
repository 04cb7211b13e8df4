/**
 * Launches a guest: from its snapshot where there is one, by a boot where there is none or where it does not do, and then
 * what is the same for both: the clock is set, the host's folders are mounted, the cards are there.
 */
import { type Ingredients } from '../provision';
import { type Snapshot, type SnapshotStore } from '../snapshot';
import { beginWithBootConsole } from './artifacts';
import { bringUp, type LaunchSteps, startMachine } from './boot';
import { Ending } from './ending';
import { RestoreError } from './errors';
import { Guest } from './guest';
import { machineDescription, machineIdentity } from './machine-identity';
import { type LaunchOptions } from './options';
import { RunFolder } from './run-folder';

/** It is returned when its agent answers and its cards are plugged in. Whatever goes wrong, nothing is left behind. */
export async function launchGuest(options: LaunchOptions): Promise<Guest> {
  options.signal?.throwIfAborted();
  const startedMs = performance.now();
  const launch = new Launch(options, (phase, message) =>
    options.onProgress?.({ phase, message, elapsedMs: Math.round(performance.now() - startedMs) }),
  );
  return launch.start();
}

class Launch {
  constructor(
    private readonly options: LaunchOptions,
    private readonly progress: LaunchSteps,
  ) {}

  async start(): Promise<Guest> {
    const { snapshots, accel, extraQemuArgs = [] } = this.options;
    // A snapshot on KVM would have to fit the processor, and nobody knows what additional arguments do.
    if (snapshots === undefined || accel === 'kvm' || extraQemuArgs.length > 0) {
      return this.furnished(await this.attempt({ cardsAtBoot: true }));
    }
    // Before QEMU reads the files that it is made of: one that is replaced meanwhile makes another machine.
    const machine = machineIdentity(this.options);
    const restored = await this.restore(snapshots, machine);
    if (restored) return this.furnished(restored);
    const booted = await this.attempt({ cardsAtBoot: false });
    return this.furnished(booted, () => this.save(booted, snapshots, machine));
  }

  /** Undefined when there is no snapshot, or none that does. */
  private async restore(snapshots: SnapshotStore, machine: Ingredients): Promise<Guest | undefined> {
    using snapshot = this.find(snapshots, machine);
    if (snapshot === undefined) return undefined;
    try {
      return await this.attempt({ cardsAtBoot: false, snapshot });
    } catch (error) {
      this.options.signal?.throwIfAborted();
      if (!(error instanceof RestoreError)) throw error; // a boot would meet the same
      this.progress('no-snapshot', `The snapshot of this guest does not do, it is booted: ${headline(error)}`);
      discard(snapshot);
      return undefined;
    }
  }

  /** A cache that cannot be read is one without snapshots. */
  private find(snapshots: SnapshotStore, machine: Ingredients): Snapshot | undefined {
    try {
      return snapshots.find(machine);
    } catch (error) {
      this.progress('no-snapshot', `The snapshot of this guest cannot be read, it is booted: ${headline(error)}`);
      return undefined;
    }
  }

  private save(guest: Guest, snapshots: SnapshotStore, machine: Ingredients): Promise<void> {
    this.progress('saving', 'Saving the booted guest, for starts in a fraction of the time');
    return guest.saveTo(snapshots, machine, machineDescription(this.options), (error) =>
      this.progress('no-snapshot', `This guest was not saved, the next start is a boot again: ${headline(error)}`),
    );
  }

  /** The guest, ready for use; it is ended when it cannot be made so. */
  private async furnished(guest: Guest, first?: () => Promise<void>): Promise<Guest> {
    try {
      await first?.();
      await guest.furnish();
      return guest;
    } catch (error) {
      await guest.fail(error).catch(complain);
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
      // Later on, for people to read: nothing fails for want of it.
      if (snapshot) await beginWithBootConsole(runDir, snapshot.consoleLog).catch(() => {});
      return new Guest(machine, booted, ending, { ...options, cardsAtBoot });
    } catch (error) {
      machine.kill(error);
      // A boot follows upon a snapshot that does not do, and its artifacts are those of the guest.
      await ending.finish({ keepArtifacts: !(error instanceof RestoreError) }).catch(complain);
      throw error;
    }
  }
}

const headline = (error: unknown): string => (error as Error).message.split('\n')[0]!;

/** Where it cannot be removed nothing can be saved either, and that is told. */
function discard(snapshot: Snapshot): void {
  try {
    snapshot.discard();
  } catch {
    // a cache that can only be read
  }
}

/** What went wrong first is what the caller must see; a clean-up that fails as well is told beside it. */
function complain(error: Error): void {
  process.emitWarning(`Clean-up after a failed launch: ${error.message}`);
}
