/**
 * The way of error messages to a root port of QEMU's: its monitor sends a message in the name of a function if QEMU's own
 * copy of the function's registers enables it (hw/pci/pcie_aer.c, pcie_aer_inject_uncor_error and pcie_aer_msg_alldev).
 *
 * - Of Device Control QEMU makes that copy with one read, when it connects: that read finds all reporting enabled.
 * - SERR# Enable in Command it keeps as it was last written. So whoever sends a message sets it before, and restores it
 *   after; the card and its observers do not see that.
 *
 * What the guest reads and writes are the card's own registers, and whether a message is sent is decided by these.
 *
 * Source: QEMU hw/vfio/pci.c, vfio_pci_config_setup (the read), vfio_pci_write_config.
 */
import { type Device, ForwardingDevice } from '../device';
import { type PciCard } from './card';
import { type ConfigStructure } from './config-space';
import { Region } from './vfio-layout';

/** An access of a guest is no longer than this. */
const LONGEST_ACCESS_BYTES = 8;
const COMMAND = 0x04;
const SERR_ENABLE = 1 << 8;
/** The lowest four bits of Device Control, at this offset in its capability. */
const DEVICE_CONTROL = 0x08;
const ALL_REPORTING = 0xf;

/** The stage next to the client. */
export class ErrorPath extends ForwardingDevice {
  readonly #deviceControl: number;
  readonly #header: ConfigStructure['registers'];
  #isSending = false;

  constructor(below: Device, card: PciCard) {
    super(below);
    const structure = (wanted: string) => card.inspection.configStructures.find(({ name }) => name === wanted)!;
    this.#deviceControl = structure('PCIE').offset + DEVICE_CONTROL;
    this.#header = structure('').registers;
  }

  /**
   * Sends a message with `send`, while the guest stands still. `writeCommand` writes the function's Command register in
   * the guest's place.
   */
  async whileEnabled(writeCommand: (value: number) => Promise<void>, send: () => Promise<void>): Promise<void> {
    const bytes = new Uint8Array(2);
    this.#header.read(COMMAND, bytes);
    const command = bytes[0]! | (bytes[1]! << 8);
    this.#isSending = true;
    try {
      await writeCommand(command | SERR_ENABLE);
      await send();
      await writeCommand(command);
    } finally {
      this.#isSending = false;
    }
  }

  override writeRegion(region: number, offset: number, data: Uint8Array): void {
    if (this.#isSending && region === Region.CONFIG && offset === COMMAND) return;
    this.below.writeRegion(region, offset, data);
  }

  override readRegion(region: number, offset: number, data: Uint8Array): void {
    this.below.readRegion(region, offset, data);
    if (region !== Region.CONFIG || data.length <= LONGEST_ACCESS_BYTES) return;
    const at = this.#deviceControl - offset;
    if (at >= 0 && at < data.length) data[at]! |= ALL_REPORTING;
  }
}
