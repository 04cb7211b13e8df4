/**
 * A running guest: runs commands in it, transfers files, plugs and binds cards, and shuts it down. When the guest dies,
 * everything pending rejects with the reason.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { type ErrorMessage, type ErrorPath } from '../../emulator/pci';
import {
  type ExecOptions,
  type ExecResult,
  type GuestChannel,
  type GuestCommand,
  type TransferOptions,
} from '../channel';
import { type QmpClient } from '../qmp';
import { saveMachine, type SnapshotStore } from '../snapshot';
import { type GuestArch, type Ingredients } from '../provision';
import { MACHINES } from './architectures';
import { type BootedMachine } from './boot';
import { GuestClosedError } from './errors';
import { cpuModelOf } from './cpu-model';
import { type Ending } from './ending';
import { GuestBus } from './guest-bus';
import { type BindOptions, type BoundCard, GuestCards, type UnplugOptions } from './guest-cards';
import { explainFolder, HostFolders, mountModules } from './host-folders';
import { type Machine } from './machine';
import { fragmentMemory } from './memory-layout';
import { type LaunchCard, type LaunchOptions } from './options';
import { hiddenPaths } from './secrets';

/** More than the kernel's random number generator needs. */
const ENTROPY_BYTES = 64;

/** How a command is run in the guest. */
export interface RunOptions extends Omit<ExecOptions, 'root'> {
  /** Whether the command sees the host's files, or only the guest's own. Default: the host's, if the guest has them. */
  readonly host?: boolean;
  /**
   * Whether the start and the end of the command are marked in the trace. Default: true. ghostcard's own commands are
   * not marked.
   */
  readonly marked?: boolean;
}

interface GuestOptions extends LaunchOptions {
  readonly cardsAtBoot: boolean;
}

/** Options of ghostcard's own commands: the guest's files, no marks. */
export const OWN = { host: false, marked: false } as const;

/** A running guest: runs commands, transfers files, plugs and binds cards, and shuts down. */
export class Guest implements AsyncDisposable {
  /** @internal The QMP connection to QEMU. */
  readonly qmp: QmpClient;
  /** @internal The connection to the agent in the guest, for what `run`, `push` and `fetch` do not cover. */
  readonly channel: GuestChannel;
  /** The kernel modules that `loadModule` has loaded from files, as they were then. */
  readonly loadedModules: { readonly name: string; readonly data: Uint8Array }[] = [];
  private readonly cards: GuestCards;
  /** Mounting of the modules of the guest's kernel, which drivers may be among. */
  private modules: Promise<void> = Promise.resolve();
  /** Made when it is first needed. */
  private bus: Promise<GuestBus> | undefined;
  /** The last error message that is being sent. */
  private sending: Promise<void> = Promise.resolve();
  /** Undefined if the guest has only its own files. */
  private hostFolders: Promise<HostFolders> | undefined;

  /** @internal Use `launchGuest`. */
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
      writeConfig: (...write) => this.whileAlive(() => this.writeConfig(...write)),
      consoleTail: (count) => this.consoleTail(count),
    });
    machine.onDeath((reason) => {
      channel.abort(reason);
      qmp.close(reason);
    });
    // An abort ends the guest even if nobody calls `close`. A later `close` returns the outcome.
    ending.onAbort(() => void this.close().catch(() => {}));
  }

  /** QEMU's process id. */
  get pid(): number {
    return this.machine.pid!;
  }

  /** The kernel that it runs. */
  get kernel(): LaunchOptions['provisioned']['kernel'] {
    return this.options.provisioned.kernel;
  }

  get arch(): GuestArch {
    return this.options.provisioned.arch;
  }

  /** The model of its processors, as QEMU's `-cpu` has it. */
  get cpuModel(): string {
    return cpuModelOf(this.options);
  }

  /** Aborted when the guest has ended; the reason is the error that says why. */
  get died(): AbortSignal {
    return this.machine.died;
  }

  /** @internal For `launchGuest`: saves a snapshot of the machine for later starts. The guest is paused while it is written. */
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
        if (!this.died.aborted) onFailure(error); // else the reason of the death is reported
      });
      kept.then(resolve, reject);
      this.ending.await(kept.catch(() => {}));
    });
  }

  /** @internal For `launchGuest`: prepares a guest that has just been booted or restored for use. */
  async furnish(): Promise<void> {
    await this.whileAlive(async () => {
      const {
        provisioned,
        cards = [],
        cardsAtBoot,
        hostRoot = '/',
        shares = [],
        hostname = 'ghostcard',
        memoryLayout,
      } = this.options;
      // A restored guest has the clock and the random state from when it was saved.
      await this.channel.renew({ realtimeMs: Date.now(), entropy: randomBytes(ENTROPY_BYTES), hostname });
      if (memoryLayout === 'fragmented') await fragmentMemory(this.channel);
      await this.options.onUp?.(this.channel);
      if (!cardsAtBoot) for (const card of cards) await this.plug(card);
      // Continues in the background while cards are found. Commands that use the folders wait for it and get its error.
      if (provisioned.kernel.modulesFolder !== undefined) {
        this.modules = this.whileAlive(() => mountModules(this.channel));
        this.modules.catch(() => {});
      }
      if (hostRoot === false) return;
      const hidden = hiddenPaths(this.options);
      this.hostFolders = this.whileAlive(async () => {
        await this.modules;
        return HostFolders.mount(this.channel, hostRoot, shares, hidden);
      });
      this.hostFolders.catch(() => {});
    });
  }

  /**
   * Runs a command in the guest until it ends. A non-zero exit code is a result, not an error. Rejects if the command
   * cannot be started or the guest dies. With the host's files, the default folder is the caller's.
   */
  run(argv: readonly string[], options?: RunOptions): Promise<ExecResult> {
    return this.whileAlive(async () => (await this.start(argv, options)).result);
  }

  /** Like `run`, for a command that can be sent signals and terminal sizes while it runs. */
  async start(
    argv: readonly string[],
    { host = this.hostFolders !== undefined, marked = true, ...options }: RunOptions = {},
  ): Promise<GuestCommand> {
    this.died.throwIfAborted();
    await this.modules;
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
    result.catch(() => {}); // the caller may await it later
    return { ...command, result };
  }

  /**
   * The options that `run` adds for a command that sees the host's files, for users of the channel. @throws Error
   * without the host's files
   */
  async onHostFolders(options: ExecOptions): Promise<ExecOptions> {
    if (this.hostFolders === undefined) {
      throw new Error("Cannot use the host's files: this guest was launched without them (hostRoot: false).");
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

  /** @internal Has QEMU's monitor read a byte of the guest's physical address space, memory or a device. */
  async readByte(address: number): Promise<void> {
    await this.qmp.execute('human-monitor-command', { 'command-line': `xp /1xb 0x${address.toString(16)}` });
  }

  /** @internal Has QEMU send an error message of a card to its root port. One at a time. */
  sendError(card: string, message: ErrorMessage, path: ErrorPath): Promise<void> {
    const sent = this.sending.then(() => this.cards.sendError(card, message, path));
    this.sending = sent.catch(() => {});
    return sent;
  }

  private async writeConfig(pciAddress: string, offset: number, sizeBytes: 2 | 4, value: number): Promise<void> {
    const socketPath = join(this.machine.runDir, 'bus.sock');
    this.bus ??= GuestBus.connect({ socketPath, qmp: (command, args) => this.qmp.execute(command, args) });
    const [bus, device, functionNumber] = pciAddress
      .split(/[:.]/)
      .slice(1)
      .map((part) => parseInt(part, 16));
    const place = bus! * 2 ** 20 + device! * 2 ** 15 + functionNumber! * 2 ** 12 + offset;
    await (await this.bus).write(MACHINES[this.arch].configurationSpace + place, sizeBytes, value);
  }

  /** Hot-plugs a card into an empty slot. The guest has found it once `pciAddressOf` resolves. */
  plug(card: LaunchCard): Promise<void> {
    return this.cards.plug(card);
  }

  /**
   * Makes the guest remove a card. When this resolves, the driver's `remove` has run. QEMU keeps
   * the device, since it (up to at least 11.1) crashes when it deletes a vfio-user device with MSI-X: the card's server
   * must keep running and answer reads with all ones, as an empty slot does, and another card can take its place there.
   * Rejects if the driver has not released the card within the limit (default 20 s). The guest then keeps trying, and a
   * later call returns the outcome.
   */
  unplug(card: string, options?: UnplugOptions): Promise<void> {
    return this.cards.unplug(card, options);
  }

  /** Number of slots that a card can still be plugged into. */
  get freeSlots(): number {
    return this.cards.freeSlots;
  }

  /**
   * PCI address of the card of this name in the guest, or of a function of it (`card.1`). Waits until the guest has found
   * it. The address is valid until the card is unplugged.
   */
  pciAddressOf(card: string): Promise<string> {
    return this.cards.pciAddressOf(card);
  }

  /** Binds the card to a driver of the guest, such as 'uio_pci_generic' or 'vfio-pci'. 'none' only unbinds it. */
  bind(card: string, driver: string, options?: BindOptions): Promise<BoundCard> {
    return this.cards.bind(card, driver, options);
  }

  /** @internal For `launchGuest`: ends a guest that could not be prepared, with this reason. */
  fail(reason: unknown): Promise<void> {
    this.machine.kill(reason);
    return this.ending.finish();
  }

  /** Shuts the guest down, by force if necessary, and removes its files. Can be called again. */
  close(): Promise<void> {
    if (!this.died.aborted) this.channel.abort(new GuestClosedError());
    return this.ending.finish();
  }

  /** As `close`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Translates a path as commands see it. */
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
