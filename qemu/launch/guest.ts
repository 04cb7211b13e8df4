/**
 * A running guest: runs commands in it, plugs cards in and out, binds drivers to them, and ends in good order. When the
 * guest dies, all that is pending rejects with the reason.
 */
import { randomBytes } from 'node:crypto';
import {
  type ExecOptions,
  type ExecResult,
  type GuestChannel,
  type GuestCommand,
  type TransferOptions,
} from '../channel';
import { type QmpClient } from '../qmp';
import { saveMachine, type SnapshotStore } from '../snapshot';
import { type Ingredients } from '../provision';
import { type BootedMachine } from './boot';
import { GuestClosedError } from './errors';
import { type Ending } from './ending';
import { type BindOptions, type BoundCard, GuestCards, type UnplugOptions } from './guest-cards';
import { explainFolder, HostFolders } from './host-folders';
import { type Machine } from './machine';
import { type LaunchCard, type LaunchOptions } from './options';

/** More than the kernel's generator takes. */
const ENTROPY_BYTES = 64;

export interface RunOptions extends Omit<ExecOptions, 'root'> {
  /** Whether the command sees the host's files, or only the guest's own. Default: the host's, in a guest that has them. */
  readonly host?: boolean;
  /** Whether its beginning and its end are marks in the trace. Default true; ghostcard's own commands have none. */
  readonly marked?: boolean;
}

interface GuestOptions extends LaunchOptions {
  readonly cardsAtBoot: boolean;
}

/** How ghostcard's own commands are run: with the guest's files, and unmarked. */
export const OWN = { host: false, marked: false } as const;

export class Guest implements AsyncDisposable {
  /** QEMU's control connection. */
  readonly qmp: QmpClient;
  /** The connection to the agent in the guest, for what `run`, `push` and `fetch` do not cover. */
  readonly channel: GuestChannel;
  private readonly cards: GuestCards;
  /** Undefined when the guest is to have its own files only. */
  private hostFolders: Promise<HostFolders> | undefined;

  /** Use `launchGuest`. */
  constructor(
    private readonly machine: Machine,
    { qmp, channel }: BootedMachine,
    private readonly ending: Ending,
    private readonly options: GuestOptions,
  ) {
    this.qmp = qmp;
    this.channel = channel;
    this.cards = new GuestCards(options, {
      run: (argv, timeoutMs) => this.run(argv, { ...OWN, timeoutMs }),
      qmp: (command, args, timeoutMs) => this.whileAlive(() => qmp.execute(command, args, { timeoutMs })),
      consoleTail: (count) => this.consoleTail(count),
    });
    machine.onDeath((reason) => {
      channel.abort(reason);
      qmp.close(reason);
    });
    // An abort is the end of the guest, also if nobody gets to call `close`; who does, gets the outcome.
    ending.onAbort(() => void this.close().catch(() => {}));
  }

  /** QEMU's process id. */
  get pid(): number {
    return this.machine.pid!;
  }

  /** Aborted when the guest has come to its end; its reason is the error that says why. */
  get died(): AbortSignal {
    return this.machine.died;
  }

  /** For `launchGuest`: keeps the machine as it is, for later starts. The guest stands still while it is written. */
  async saveTo(
    snapshots: SnapshotStore,
    identity: Ingredients,
    description: string,
    onFailure: (error: unknown) => void,
  ): Promise<void> {
    const save = async (file: string) => {
      try {
        await this.qmp.execute('stop');
        await saveMachine(this.qmp, file);
      } finally {
        await this.qmp.execute('cont');
      }
    };
    await new Promise<void>((resolve, reject) => {
      const { consoleLog } = this.machine;
      const toKeep = { description, consoleLog, save, saved: resolve };
      const kept = this.whileAlive(() => snapshots.keep(identity, toKeep)).catch((error) => {
        if (!this.died.aborted) onFailure(error); // else that is what is told
      });
      kept.then(resolve, reject);
      this.ending.await(kept.catch(() => {}));
    });
  }

  /** For `launchGuest`: makes a guest that has just been started, one way or the other, ready for use. */
  async furnish(): Promise<void> {
    await this.whileAlive(async () => {
      const { cards = [], cardsAtBoot, hostRoot = '/', shares = [], hostname = 'ghostcard' } = this.options;
      // A guest from a snapshot has the time and the random numbers of the day when it was saved.
      await this.channel.renew({ realtimeMs: Date.now(), entropy: randomBytes(ENTROPY_BYTES), hostname });
      if (!cardsAtBoot) for (const card of cards) await this.plug(card);
      if (hostRoot === false) return;
      // Goes on while the guest waits for cards that are being plugged in; whoever uses the folders waits, and is told.
      this.hostFolders = this.whileAlive(() => HostFolders.mount(this.channel, hostRoot, shares));
      this.hostFolders.catch(() => {});
    });
  }

  /**
   * Runs a command in the guest to its end; a non-zero exit code is a result, not an error. Rejects when the command
   * cannot be started or the guest dies. With the host's files, it starts in the caller's folder unless told otherwise.
   */
  run(argv: readonly string[], options?: RunOptions): Promise<ExecResult> {
    return this.whileAlive(async () => (await this.start(argv, options)).result);
  }

  /** As `run`, for a command to be signalled, and told of its terminal's new size, while it runs. */
  async start(
    argv: readonly string[],
    { host = this.hostFolders !== undefined, marked = true, ...options }: RunOptions = {},
  ): Promise<GuestCommand> {
    this.died.throwIfAborted();
    const execOptions = host ? await this.onHostFolders(options) : options;
    const { onCommandStart, onCommandEnd } = this.options;
    onCommandStart?.(argv, marked);
    const command = this.channel.start(argv, execOptions);
    const result = this.whileAlive(() => command.result).then(
      (ended) => {
        onCommandEnd?.(argv, ended, marked);
        return ended;
      },
      (error: unknown) => {
        const explained = explainFolder(error, execOptions.cwd);
        onCommandEnd?.(argv, explained as Error, marked);
        throw explained;
      },
    );
    result.catch(() => {}); // whoever gets it may not wait for it at once
    return { ...command, result };
  }

  /** What `run` adds for a command on the host's files, for those who use the channel itself. */
  async onHostFolders(options: ExecOptions): Promise<ExecOptions> {
    if (this.hostFolders === undefined) {
      throw new Error("This guest was launched without the host's files (hostRoot: false).");
    }
    return (await this.hostFolders).forCommand(options);
  }

  /** Writes a file in the guest. */
  push(guestPath: string, bytes: Uint8Array, mode?: number, options?: TransferOptions): Promise<void> {
    return this.whileAlive(async () => this.channel.push(await this.pathFor(guestPath), bytes, mode, options));
  }

  /** Reads a file of the guest. */
  fetch(guestPath: string, options?: TransferOptions): Promise<Buffer> {
    return this.whileAlive(async () => this.channel.fetch(await this.pathFor(guestPath), options));
  }

  /** The last lines that the guest wrote to its console. */
  consoleTail(count?: number): string[] {
    this.machine.console.read();
    return this.machine.console.tail(count);
  }

  /** Puts a card into an empty slot of the running guest. It is there for the guest once `pciAddressOf` has answered. */
  plug(card: LaunchCard): Promise<void> {
    return this.cards.plug(card);
  }

  /**
   * Makes the guest let go of a card: the driver's `remove` has run when this resolves. The slot stays taken, since QEMU
   * (up to 11.1 at least) dies when it deletes a vfio-user device that has MSI-X; the card's server must go on and answer
   * with all ones, as an empty slot does. Rejects when the driver has not let go within the limit, 20 s unless told
   * otherwise: the guest goes on trying, and a later call finds out.
   */
  unplug(card: string, options?: UnplugOptions): Promise<void> {
    return this.cards.unplug(card, options);
  }

  /**
   * To be called before a card stops answering: the guest resets it no more. vfio-pci orders a reset when the device is
   * closed, and kernels before 6.9 would wait a minute for the card to come out of it.
   */
  forgoResets(card: string): Promise<void> {
    return this.cards.forgoResets(card);
  }

  /** Slots that a card can still be plugged into. */
  get freeSlots(): number {
    return this.cards.freeSlots;
  }

  /**
   * Where the guest sees the card of this name: the one function behind the card's root port. Waits until it does; it
   * stays there until it is unplugged.
   */
  pciAddressOf(card: string): Promise<string> {
    return this.cards.pciAddressOf(card);
  }

  /** Gives the card to a driver of the guest's, such as 'uio_pci_generic' or 'vfio-pci'; 'none' takes it away from any. */
  bind(card: string, driver: string, options?: BindOptions): Promise<BoundCard> {
    return this.cards.bind(card, driver, options);
  }

  /** For `launchGuest`: ends a guest that is of no use, for this reason. */
  fail(reason: unknown): Promise<void> {
    this.machine.kill(reason);
    return this.ending.finish();
  }

  /** Ends the guest in good order, or by force, and removes what it used. Can be called again. */
  close(): Promise<void> {
    if (!this.died.aborted) this.channel.abort(new GuestClosedError());
    return this.ending.finish();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Files are where commands see them. */
  private async pathFor(guestPath: string): Promise<string> {
    return (await this.hostFolders)?.pathFor(guestPath) ?? guestPath;
  }

  private async whileAlive<T>(work: () => Promise<T>): Promise<T> {
    this.died.throwIfAborted();
    try {
      return await work();
    } catch (error) {
      throw await this.machine.causeOf(error);
    }
  }
}
