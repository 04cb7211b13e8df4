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
import { type QmpClient, QmpTimeoutError } from '../qmp';
import { saveMachine, type SnapshotStore } from '../snapshot';
import { type Ingredients } from '../provision';
import { cardDevice, slotPciAddress } from './arguments';
import { type BootedMachine } from './boot';
import { GuestClosedError } from './errors';
import { type Ending } from './ending';
import { explainFolder, HostFolders } from './host-folders';
import { type Machine } from './machine';
import { defaultSlots } from './machine-options';
import { type LaunchCard, type LaunchOptions } from './options';
import { Slots } from './slots';

const BIND_COMMAND = '/usr/bin/ghostcard-bind';
const BIND_TIMEOUT_MS = 60_000;
const CARD_COMMAND = '/usr/bin/ghostcard-card-behind';
const CARD_TIMEOUT_MS = 30_000;
const PLUG_TIMEOUT_MS = 30_000;
const UNPLUG_COMMAND = '/usr/bin/ghostcard-unplug';
const UNPLUG_TIMEOUT_MS = 20_000;
/** After its own limit, the command in the guest still has to say so. */
const REPORT_GRACE_MS = 10_000;
/** More than the kernel's generator takes. */
const ENTROPY_BYTES = 64;

export interface BoundCard {
  /** The card's function as the guest names it, such as '0000:01:00.0'. */
  readonly pciAddress: string;
  /** The driver's device node, such as '/dev/uio0'; empty for the driver 'none'. That of the first platform device. */
  readonly node: string;
  /** Under a driver for platform devices: what the card has become, in the order of its table. */
  readonly platformDevices?: readonly BoundPlatformDevice[];
}

export interface BoundPlatformDevice {
  /** As below /sys/bus/platform/devices, such as 'ghostcard-ref.256'. */
  readonly name: string;
  /** Empty for a driver that has none. */
  readonly node: string;
}

export interface BindOptions {
  /** Longest time for the driver to let go of the card, or to take it. Default 60 s. */
  readonly timeoutMs?: number;
}

export interface RunOptions extends Omit<ExecOptions, 'root'> {
  /** Whether the command sees the host's files, or only the guest's own. Default: the host's, in a guest that has them. */
  readonly host?: boolean;
  /** Whether its beginning and its end are marks in the trace. Default true; ghostcard's own commands have none. */
  readonly marked?: boolean;
}

interface GuestOptions extends LaunchOptions {
  readonly cardsAtBoot: boolean;
}

export interface UnplugOptions {
  /** How long the driver may take. Default 20 s. */
  readonly timeoutMs?: number;
}

/** How ghostcard's own commands are run: with the guest's files, and unmarked. */
export const OWN = { host: false, marked: false } as const;

export class Guest implements AsyncDisposable {
  /** QEMU's control connection. */
  readonly qmp: QmpClient;
  /** The connection to the agent in the guest, for what `run`, `push` and `fetch` do not cover. */
  readonly channel: GuestChannel;
  private readonly slots: Slots;
  /** What a card may take for one answer. QEMU waits for it, and the guest with it. */
  private slowestAnswerMs = 0;
  /** Where the guest sees the cards that it has been asked about. */
  private readonly pciAddresses = new Map<string, string>();
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
    const { cards = [], slots, cardsAtBoot } = options;
    this.slots = new Slots(slots ?? defaultSlots(cards), cardsAtBoot ? cards : []);
    for (const card of cards) this.allowFor(card);
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
  async plug(card: LaunchCard): Promise<void> {
    const slot = this.slots.take(card.name);
    this.allowFor(card);
    const limit = { timeoutMs: this.allowed(PLUG_TIMEOUT_MS) };
    try {
      await this.whileAlive(() => this.qmp.execute('device_add', cardDevice(slot, card), limit));
    } catch (error) {
      if (error instanceof QmpTimeoutError)
        this.slots.retire(card.name); // it may come yet
      else this.slots.release(card.name);
      throw error;
    }
  }

  /**
   * Makes the guest let go of a card: the driver's `remove` has run when this resolves. The slot stays taken, since QEMU
   * (up to 11.1 at least) dies when it deletes a vfio-user device that has MSI-X; the card's server must go on and answer
   * with all ones, as an empty slot does. Rejects when the driver has not let go within the limit, 20 s unless told
   * otherwise: the guest goes on trying, and a later call finds out.
   */
  async unplug(card: string, { timeoutMs = UNPLUG_TIMEOUT_MS }: UnplugOptions = {}): Promise<void> {
    const pciAddress = await this.pciAddressOf(card);
    const limit = String(Math.ceil(timeoutMs / 1000));
    const result = await this.run([UNPLUG_COMMAND, pciAddress, limit], {
      ...OWN,
      timeoutMs: this.allowed(timeoutMs + REPORT_GRACE_MS),
    });
    if (result.exitCode !== 0) {
      const why =
        String(result.stderr).trim() || `no answer of ${UNPLUG_COMMAND} within ${timeoutMs + REPORT_GRACE_MS} ms`;
      throw new Error(`The guest has not let go of the card '${card}' (${pciAddress}): ${why}`);
    }
    this.slots.retire(card);
    this.pciAddresses.delete(card);
  }

  /**
   * To be called before a card stops answering: the guest resets it no more. vfio-pci orders a reset when the device is
   * closed, and kernels before 6.9 would wait a minute for the card to come out of it.
   */
  async forgoResets(card: string): Promise<void> {
    const methods = `/sys/bus/pci/devices/${await this.pciAddressOf(card)}/reset_method`;
    const result = await this.run(['sh', '-c', '[ ! -e "$0" ] || echo >"$0"', methods], {
      ...OWN,
      timeoutMs: this.allowed(UNPLUG_TIMEOUT_MS),
    });
    if (result.exitCode !== 0) {
      const why = String(result.stderr).trim() || `no end of it within ${this.allowed(UNPLUG_TIMEOUT_MS)} ms`;
      throw new Error(`The guest could not be kept from resetting the card '${card}', which is to go: ${why}`);
    }
  }

  /** Slots that a card can still be plugged into. */
  get freeSlots(): number {
    return this.slots.free;
  }

  /**
   * Where the guest sees the card of this name: the one function behind the card's root port. Waits until it does; it
   * stays there until it is unplugged.
   */
  async pciAddressOf(card: string): Promise<string> {
    const known = this.pciAddresses.get(card);
    if (known !== undefined) return known;
    const port = slotPciAddress(this.slots.of(card));
    const timeoutMs = this.allowed(CARD_TIMEOUT_MS);
    const { exitCode, stdout, stderr } = await this.run([CARD_COMMAND, port], { ...OWN, timeoutMs });
    if (exitCode === 0) {
      const pciAddress = stdout.toString().trim();
      this.pciAddresses.set(card, pciAddress);
      return pciAddress;
    }
    const why = stderr.toString().trim() || `no answer of ${CARD_COMMAND} within ${timeoutMs} ms`;
    throw new Error(
      `The guest does not see the card '${card}' behind its root port: ${why}\n` +
        `The guest's console:\n  ${this.consoleTail(10).join('\n  ')}`,
    );
  }

  /** Gives the card to a driver of the guest's, such as 'uio_pci_generic' or 'vfio-pci'; 'none' takes it away from any. */
  async bind(card: string, driver: string, options: BindOptions = {}): Promise<BoundCard> {
    const { timeoutMs = this.allowed(BIND_TIMEOUT_MS) } = options;
    const pciAddress = await this.pciAddressOf(card);
    const result = await this.run([BIND_COMMAND, pciAddress, driver], { ...OWN, timeoutMs });
    if (result.exitCode !== 0) {
      const said = String(result.stderr)
        .trim()
        .replace(/^ghostcard-bind: /, '');
      const cutOff = result.timedOut ? `no end within ${timeoutMs} ms` : result.signal;
      const why = [cutOff, said].filter(Boolean).join(': ') || `${BIND_COMMAND} ended with ${result.exitCode}`;
      throw new Error(`The card '${card}' (${pciAddress}) could not be bound to ${driver}: ${why}`);
    }
    return { pciAddress, ...readBindings(result.stdout.toString()) };
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

  private allowFor({ answerTimeoutMs = 0 }: LaunchCard): void {
    this.slowestAnswerMs = Math.max(this.slowestAnswerMs, answerTimeoutMs);
  }

  /** A limit on something in which a card may take all the time that it has been given: somebody debugs it. */
  private allowed(limitMs: number): number {
    return limitMs + this.slowestAnswerMs;
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

/** What ghostcard-bind prints: a node, or for each platform device "platform NAME NODE". */
function readBindings(text: string): Omit<BoundCard, 'pciAddress'> {
  const lines = text.trim().split('\n');
  const platformDevices = lines
    .map((line) => line.trim().split(' '))
    .filter(([kind]) => kind === 'platform')
    .map(([, name = '', node = '']) => ({ name, node }));
  if (platformDevices.length === 0) return { node: lines.at(-1) ?? '' };
  return { node: platformDevices[0]!.node, platformDevices };
}
