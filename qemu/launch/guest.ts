/**
 * A booted guest: runs commands in it, binds drivers to its cards, and ends in good order. When the guest dies, all that
 * is pending rejects with the reason.
 */
import { type ExecOptions, type ExecResult, type GuestChannel, type TransferOptions } from '../channel';
import { type QmpClient } from '../qmp';
import { slotPciAddress } from './arguments';
import { boot, startMachine, type BootedMachine } from './boot';
import { GuestClosedError } from './errors';
import { Ending } from './ending';
import { type Machine } from './machine';
import { type LaunchOptions } from './options';
import { RunFolder } from './run-folder';

const BIND_COMMAND = '/usr/bin/ghostcard-bind';
const BIND_TIMEOUT_MS = 60_000;
const PCI_ADDRESS = /^[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/;

export interface BoundCard {
  /** The card's function as the guest names it, such as '0000:01:00.0'. */
  readonly pciAddress: string;
  /** The driver's device node, such as '/dev/uio0'; empty for the driver 'none'. */
  readonly node: string;
}

/** Boots a guest; it is returned when its agent has said hello. Whatever goes wrong, nothing is left behind. */
export async function launchGuest(options: LaunchOptions): Promise<Guest> {
  options.signal?.throwIfAborted();
  const folder = options.runDir === undefined ? await RunFolder.create() : undefined;
  const runDir = options.runDir ?? folder!.path;
  const machine = await startMachine(options, runDir).catch(async (error: unknown) => {
    await folder?.close();
    throw error;
  });
  const ending = new Ending(machine, runDir, folder, options);
  try {
    return new Guest(machine, await boot(machine, options), ending, options);
  } catch (error) {
    // What went wrong first is what the caller must see; a clean-up that fails as well is told beside it.
    await ending
      .finish()
      .catch((second: Error) => process.emitWarning(`Clean-up after a failed launch: ${second.message}`));
    throw error;
  }
}

export class Guest implements AsyncDisposable {
  /** QEMU's control connection. */
  readonly qmp: QmpClient;
  /** The connection to the agent in the guest, for what `run`, `push` and `fetch` do not cover. */
  readonly channel: GuestChannel;

  /** Use `launchGuest`. */
  constructor(
    private readonly machine: Machine,
    { qmp, channel }: BootedMachine,
    private readonly ending: Ending,
    private readonly options: Pick<LaunchOptions, 'cards'>,
  ) {
    this.qmp = qmp;
    this.channel = channel;
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

  /**
   * Runs a command in the guest to its end; a non-zero exit code is a result, not an error. Rejects when the command
   * cannot be started or the guest dies.
   */
  run(argv: readonly string[], options?: ExecOptions): Promise<ExecResult> {
    return this.whileAlive(() => this.channel.exec(argv, options));
  }

  /** Writes a file in the guest. */
  push(guestPath: string, bytes: Uint8Array, mode?: number, options?: TransferOptions): Promise<void> {
    return this.whileAlive(() => this.channel.push(guestPath, bytes, mode, options));
  }

  /** Reads a file of the guest. */
  fetch(guestPath: string, options?: TransferOptions): Promise<Buffer> {
    return this.whileAlive(() => this.channel.fetch(guestPath, options));
  }

  /** The last lines that the guest wrote to its console. */
  consoleTail(count?: number): string[] {
    return this.machine.console.tail(count);
  }

  /** Where the guest sees the card of this name: the one function behind the card's root port. */
  async pciAddressOf(card: string): Promise<string> {
    const port = slotPciAddress(this.slotOf(card));
    const folder = `/sys/bus/pci/devices/${port}`;
    const { exitCode, stdout, stderr } = await this.run(['ls', folder]);
    if (exitCode !== 0) throw new Error(`The guest has no root port ${port} for the card '${card}': ${stderr}`);
    const functions = stdout
      .toString()
      .split('\n')
      .filter((name) => PCI_ADDRESS.test(name));
    if (functions.length !== 1) {
      const seen = functions.length === 0 ? 'no function' : functions.join(', ');
      throw new Error(
        `The guest sees ${seen} behind root port ${port}, where the card '${card}' should be the only one. ` +
          'The console log shows what the kernel found (guest.consoleTail()).',
      );
    }
    return functions[0]!;
  }

  /** Gives the card to a driver of the guest's, such as 'uio_pci_generic' or 'vfio-pci'; 'none' takes it away from any. */
  async bind(card: string, driver: string): Promise<BoundCard> {
    const pciAddress = await this.pciAddressOf(card);
    const result = await this.run([BIND_COMMAND, pciAddress, driver], { timeoutMs: BIND_TIMEOUT_MS });
    if (result.exitCode !== 0) {
      const outcome = result.timedOut
        ? `no end within ${BIND_TIMEOUT_MS} ms`
        : `${BIND_COMMAND} ended with ${result.signal ?? `exit code ${result.exitCode}`}`;
      throw new Error(
        `The card '${card}' (${pciAddress}) could not be bound to ${driver}: ${outcome}: ${String(result.stderr).trim()}`,
      );
    }
    return { pciAddress, node: result.stdout.toString().trim().split('\n').at(-1) ?? '' };
  }

  /** Ends the guest in good order, or by force, and removes what it used. Can be called again. */
  close(): Promise<void> {
    if (!this.died.aborted) this.channel.abort(new GuestClosedError());
    return this.ending.finish();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private slotOf(card: string): number {
    const names = (this.options.cards ?? []).map(({ name }) => name);
    const slot = names.indexOf(card);
    if (slot < 0) throw new Error(`This guest has no card '${card}'. Its cards: ${names.join(', ') || 'none'}.`);
    return slot;
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
