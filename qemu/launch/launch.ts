/**
 * Launches a guest: from its snapshot where there is one, by a boot where there is none or where it does not do, and then
 * what is the same for both: the clock is set, the host's folders are mounted, the cards are there.
 */
import { type Snapshot } from '../snapshot';
import { boot, type LaunchSteps, startMachine } from './boot';
import { Ending } from './ending';
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
  const guest = await launch.start();
  try {
    await guest.furnish();
    return guest;
  } catch (error) {
    await guest.close().catch((second: Error) => complain('a failed launch', second));
    throw error;
  }
}

class Launch {
  constructor(
    private readonly options: LaunchOptions,
    private readonly progress: LaunchSteps,
  ) {}

  async start(): Promise<Guest> {
    const { snapshots, accel, extraQemuArgs = [] } = this.options;
    // A snapshot on KVM would have to fit the processor, and nobody knows what additional arguments do.
    if (snapshots === undefined || accel === 'kvm' || extraQemuArgs.length > 0)
      return this.attempt({ cardsAtBoot: true });
    return (await this.restore()) ?? (await this.bootAndSave());
  }

  /** Undefined when there is no snapshot, or none that does. */
  private async restore(): Promise<Guest | undefined> {
    using snapshot = this.options.snapshots!.find(machineIdentity(this.options));
    if (snapshot === undefined) return undefined;
    try {
      return await this.attempt({ cardsAtBoot: false, snapshot });
    } catch (error) {
      this.options.signal?.throwIfAborted();
      this.progress('no-snapshot', `The snapshot of this guest does not do, it is booted: ${headline(error)}`);
      snapshot.discard();
      return undefined;
    }
  }

  private async bootAndSave(): Promise<Guest> {
    const guest = await this.attempt({ cardsAtBoot: false });
    this.progress('saving', 'Saving the booted guest, for starts in a fraction of the time');
    const description = machineDescription(this.options);
    await guest.saveTo(this.options.snapshots!, machineIdentity(this.options), description, (error) =>
      this.progress('no-snapshot', `This guest was not saved, the next start is a boot again: ${headline(error)}`),
    );
    return guest;
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
      return new Guest(machine, await boot(machine, options, progress, snapshot), ending, { ...options, cardsAtBoot });
    } catch (error) {
      // What went wrong first is what the caller must see; a clean-up that fails as well is told beside it.
      await ending
        .finish({ keepArtefacts: snapshot === undefined })
        .catch((second: Error) => complain('a failed launch', second));
      throw error;
    }
  }
}

const headline = (error: unknown): string => (error as Error).message.split('\n')[0]!;

function complain(after: string, error: Error): void {
  process.emitWarning(`Clean-up after ${after}: ${error.message}`);
}
