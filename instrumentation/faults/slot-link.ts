/**
 * The PCIe link of the slot that a card is in. It can go down at any moment: by surprise removal, or because the board has
 * lost its power. From then on reads return all ones and writes are discarded; the card has been reset, as by a power
 * cycle, and masters the bus no more.
 *
 * Source: PCI Express Base Specification 6.0, section 2.3.2 (reads that are not answered), 6.7.6 (async removal).
 */
import { loadNative } from '../../emulator/native';
import { ForwardingDevice, type ResetCause } from '../../emulator/device';
import { fillFile, Region } from '../../emulator/pci';

/** The Command register and Status: what Linux reads until a function that was reset answers (pci_dev_wait). */
const COMMAND = 4;
const COMMAND_END = 8;

export class SlotLink extends ForwardingDevice {
  private up = true;
  private isLeaving = false;

  get isUp(): boolean {
    return this.up;
  }

  /** Takes the link down, for good: a card that is plugged in again is a new one. */
  goDown(): void {
    if (!this.up) return;
    this.up = false;
    try {
      this.below.reset('power');
    } finally {
      this.fillBarMappings();
    }
  }

  /**
   * The client removes the function, whose link is down. A driver that is unbound resets it, and Linux waits a minute for
   * it to answer: so that it does not, Command and Status read 0 from now on.
   */
  leave(): void {
    this.isLeaving = true;
  }

  override readRegion(region: number, offset: number, data: Uint8Array): void {
    if (this.up) return super.readRegion(region, offset, data);
    data.fill(0xff);
    if (this.isLeaving && region === Region.CONFIG) {
      data.fill(0, Math.max(0, COMMAND - offset), Math.max(0, COMMAND_END - offset));
    }
  }

  override writeRegion(region: number, offset: number, data: Uint8Array): void {
    if (this.up) super.writeRegion(region, offset, data);
  }

  override reset(cause?: ResetCause): void {
    if (this.up) super.reset(cause);
  }

  /** What the client has mapped, it reads without a call: the pages get what a read would return, all ones. */
  private fillBarMappings(): void {
    const native = loadNative();
    for (const { mappable } of this.layout.regions) {
      for (const { offset, sizeBytes } of mappable?.areas ?? []) {
        fillFile(native, mappable!.fd, offset, sizeBytes, 0xff);
      }
    }
  }
}
