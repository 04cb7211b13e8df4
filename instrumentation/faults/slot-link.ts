/**
 * The PCIe link of the slot that a card is in. It can go down at any moment: by surprise removal, or because the board has
 * lost its power. From then on reads return all ones and writes are discarded; the card has been reset, as by a power
 * cycle, and masters the bus no more.
 *
 * Source: PCI Express Base Specification 6.0, section 2.3.2 (reads that are not answered), 6.7.6 (async removal).
 */
import { loadNative } from '../../emulator/native';
import { ForwardingDevice, type ResetCause } from '../../emulator/device';
import { fillFile } from '../../emulator/pci';

export class SlotLink extends ForwardingDevice {
  private up = true;

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

  override readRegion(region: number, offset: number, data: Uint8Array): void {
    if (this.up) super.readRegion(region, offset, data);
    else data.fill(0xff);
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
