/** The cards of a running guest: plugs them in and out, finds their PCI addresses, and binds drivers to them. */
import { type ErrorMessage, type ErrorPath } from '../../emulator/pci';
import { type ExecResult } from '../channel';
import { QmpTimeoutError } from '../qmp';
import { cardDeviceId, cardDevices, slotId, slotPciAddress } from './arguments';
import { defaultSlots } from './machine-options';
import { type LaunchCard, type LaunchOptions } from './options';
import { Slots } from './slots';

const BIND_COMMAND = '/usr/bin/ghostcard-bind';
const BIND_TIMEOUT_MS = 60_000;
const CARD_COMMAND = '/usr/bin/ghostcard-card-behind';
const CARD_TIMEOUT_MS = 30_000;
const PLUG_TIMEOUT_MS = 30_000;
const RESCAN_COMMAND = '/usr/bin/ghostcard-rescan';
const UNPLUG_COMMAND = '/usr/bin/ghostcard-unplug';
const UNPLUG_TIMEOUT_MS = 20_000;
const MONITOR_TIMEOUT_MS = 10_000;
/**
 * QEMU takes the kind of the message from the error's default severity, and keeps nothing else of it for a function whose
 * registers are not its own.
 */
const INJECTED = { ERR_NONFATAL: 'COMP_ABORT', ERR_FATAL: 'MALF_TLP' };
/** Registers in configuration space; the root port's are those of QEMU's pcie-root-port (its capability lies at 0x100). */
const COMMAND = 0x04;
const ROOT_PORT_CORRECTABLE_STATUS = 0x110;
/** Extra time for the command in the guest to report that its own limit has passed. */
const REPORT_GRACE_MS = 10_000;

/** A card in the guest with a driver: its address and device files. */
export interface BoundCard {
  /** PCI address of the card's function in the guest, such as '0000:01:00.0'. */
  readonly pciAddress: string;
  /**
   * The driver's device node, such as '/dev/uio0'. Empty for the driver 'none'. With platform devices, that of the
   * first one.
   */
  readonly node: string;
  /** With a driver for platform devices: the devices, in the order of the card's table. */
  readonly platformDevices?: readonly BoundPlatformDevice[];
}

/** A platform device in the guest with a driver. */
export interface BoundPlatformDevice {
  /** Name in /sys/bus/platform/devices, such as 'ghostcard-ref.256'. */
  readonly name: string;
  /** Empty for a driver without a device node. */
  readonly node: string;
}

/** How a driver is bound to a card. */
export interface BindOptions {
  /** Time limit for unbinding and binding drivers. Default: 60 s. */
  readonly timeoutMs?: number;
}

/** How a card is removed from a guest. */
export interface UnplugOptions {
  /** Time limit for the driver to release the card. Default: 20 s. */
  readonly timeoutMs?: number;
}

/** What this file needs of the guest. All methods reject when the guest dies. */
export interface CardsGuest {
  /** Runs one of ghostcard's own commands. */
  run(argv: readonly string[], timeoutMs: number): Promise<ExecResult>;
  /** Runs a QMP command. */
  qmp(command: string, args: Readonly<Record<string, unknown>>, timeoutMs: number): Promise<unknown>;
  /** Writes to the configuration space of a function, in the place of a processor. */
  writeConfig(pciAddress: string, offset: number, sizeBytes: 2 | 4, value: number): Promise<void>;
  consoleTail(count: number): string[];
}

/** The public methods are documented in `Guest`. */
export class GuestCards {
  private readonly slots: Slots;
  /** The longest reply timeout of the cards. QEMU waits that long, and so does the guest. */
  private slowestAnswerMs = 0;
  /** PCI addresses of cards that have been looked up. */
  private readonly pciAddresses = new Map<string, string>();

  constructor(
    { cards = [], slots, cardsAtBoot }: Pick<LaunchOptions, 'cards' | 'slots'> & { readonly cardsAtBoot: boolean },
    private readonly guest: CardsGuest,
  ) {
    this.slots = new Slots(slots ?? defaultSlots(cards), cardsAtBoot ? cards : []);
    for (const card of cards) this.allowFor(card);
  }

  async plug(card: LaunchCard): Promise<void> {
    const slot = this.slots.take(card);
    this.allowFor(card);
    if (card.isConnected) return this.rescan(card, slot);
    const devices = cardDevices(slot, card);
    let added = 0;
    try {
      for (; added < devices.length; added++) {
        await this.guest.qmp('device_add', devices[added]!, this.allowed(PLUG_TIMEOUT_MS));
      }
    } catch (error) {
      if (error instanceof QmpTimeoutError || added > 0)
        this.slots.retire(card.name); // it may still appear, or a function of it is there
      else this.slots.release(card.name);
      throw error;
    }
  }

  /** The device is in QEMU; the guest has removed it, and is to find it again. */
  private async rescan({ name }: LaunchCard, slot: number): Promise<void> {
    const port = slotPciAddress(slot);
    const timeoutMs = this.allowed(PLUG_TIMEOUT_MS);
    const { exitCode, stderr } = await this.guest.run([RESCAN_COMMAND, port], timeoutMs);
    if (exitCode === 0) return;
    this.slots.retire(name);
    const why = String(stderr).trim() || `${RESCAN_COMMAND} did not finish within ${timeoutMs} ms`;
    throw new Error(`The guest has not looked for the card '${name}' behind ${port}: ${why}`);
  }

  async unplug(name: string, options: UnplugOptions = {}): Promise<void> {
    const { card } = this.slots.placeOf(name);
    // Function 0 last: without it, a scan of the slot finds none.
    for (const each of this.slots.functionsOf(card).reverse()) await this.remove(each, options);
    for (const each of this.slots.functionsOf(card)) this.pciAddresses.delete(each);
    this.slots.retire(card);
  }

  /** Makes the guest remove one function, if it has not done so. */
  private async remove(card: string, { timeoutMs = UNPLUG_TIMEOUT_MS }: UnplugOptions): Promise<void> {
    const pciAddress = await this.pciAddressOf(card);
    const limit = String(Math.ceil(timeoutMs / 1000));
    const answerMs = this.allowed(timeoutMs + REPORT_GRACE_MS);
    const result = await this.guest.run([UNPLUG_COMMAND, pciAddress, limit], answerMs);
    if (result.exitCode !== 0) {
      const why = String(result.stderr).trim() || `${UNPLUG_COMMAND} did not finish within ${answerMs} ms`;
      throw new Error(`The guest has not released the card '${card}' (${pciAddress}): ${why}`);
    }
  }

  /**
   * Sends an error message of a card to its root port. The guest stands still meanwhile. QEMU sends no ERR_COR for a
   * function whose registers are not its own: the root port detects one itself, and its own status is cleared before the
   * guest can see it, so that the guest looks for the function that has detected an error (PCI Express Base Spec 5.0,
   * 6.2.4.1.2; Linux drivers/pci/pcie/aer.c, find_source_device).
   */
  async sendError(name: string, message: ErrorMessage, path: ErrorPath): Promise<void> {
    const { slot, functionNumber } = this.slots.placeOf(name);
    const pciAddress = await this.pciAddressOf(name);
    const timeoutMs = this.allowed(MONITOR_TIMEOUT_MS);
    const inject = async (id: string, error: string) => {
      const command = { 'command-line': `pcie_aer_inject_error ${id} ${error}` };
      const answer = String(await this.guest.qmp('human-monitor-command', command, timeoutMs)).trim();
      if (!answer.startsWith('OK')) {
        throw new Error(`QEMU has not delivered ${message} of the card '${name}' to its root port: ${answer}`);
      }
    };
    await this.guest.qmp('stop', {}, timeoutMs);
    try {
      if (message === 'ERR_COR') {
        await inject(slotId(slot), 'RCVR');
        await this.guest.writeConfig(slotPciAddress(slot), ROOT_PORT_CORRECTABLE_STATUS, 4, 0xffff_ffff);
      } else {
        await path.whileEnabled(
          (command) => this.guest.writeConfig(pciAddress, COMMAND, 2, command),
          () => inject(cardDeviceId(slot, functionNumber), INJECTED[message]),
        );
      }
    } finally {
      await this.guest.qmp('cont', {}, timeoutMs);
    }
  }

  get freeSlots(): number {
    return this.slots.free;
  }

  async pciAddressOf(card: string): Promise<string> {
    const known = this.pciAddresses.get(card);
    if (known !== undefined) return known;
    const { slot, functionNumber } = this.slots.placeOf(card);
    const port = slotPciAddress(slot);
    const timeoutMs = this.allowed(CARD_TIMEOUT_MS);
    const command = [CARD_COMMAND, port, String(functionNumber)];
    const { exitCode, stdout, stderr } = await this.guest.run(command, timeoutMs);
    if (exitCode === 0) {
      const pciAddress = stdout.toString().trim();
      this.pciAddresses.set(card, pciAddress);
      return pciAddress;
    }
    const why = stderr.toString().trim() || `${CARD_COMMAND} did not finish within ${timeoutMs} ms`;
    throw new Error(
      `The guest does not see the card '${card}' behind its root port: ${why}\n` +
        `The guest's console:\n  ${this.guest.consoleTail(10).join('\n  ')}`,
    );
  }

  async bind(card: string, driver: string, options: BindOptions = {}): Promise<BoundCard> {
    const { timeoutMs = this.allowed(BIND_TIMEOUT_MS) } = options;
    const pciAddress = await this.pciAddressOf(card);
    const result = await this.guest.run([BIND_COMMAND, pciAddress, driver], timeoutMs);
    if (result.exitCode !== 0) {
      const said = String(result.stderr)
        .trim()
        .replace(/^ghostcard-bind: /, '');
      const cutOff = result.timedOut ? `not finished within ${timeoutMs} ms` : result.signal;
      const why = [cutOff, said].filter(Boolean).join(': ') || `${BIND_COMMAND} exited with code ${result.exitCode}`;
      throw new Error(`Cannot bind the card '${card}' (${pciAddress}) to ${driver}: ${why}`);
    }
    return { pciAddress, ...readBindings(result.stdout.toString()) };
  }

  private allowFor({ answerTimeoutMs = 0 }: LaunchCard): void {
    this.slowestAnswerMs = Math.max(this.slowestAnswerMs, answerTimeoutMs);
  }

  /** Extends a time limit by the cards' reply timeout, for a card that is being debugged. */
  private allowed(limitMs: number): number {
    return limitMs + this.slowestAnswerMs;
  }
}

/** Parses the output of ghostcard-bind: a node, or for each platform device "platform NAME NODE". */
function readBindings(text: string): Omit<BoundCard, 'pciAddress'> {
  const lines = text.trim().split('\n');
  const platformDevices = lines
    .map((line) => line.trim().split(' '))
    .filter(([kind]) => kind === 'platform')
    .map(([, name = '', node = '']) => ({ name, node }));
  if (platformDevices.length === 0) return { node: lines.at(-1) ?? '' };
  return { node: platformDevices[0]!.node, platformDevices };
}
