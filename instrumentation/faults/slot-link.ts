/**
 * A card's link to its slot, which can be severed at any moment: a card pulled out without a word, a board that lost its
 * power, a PCIe link that went down. Whoever reads from the slot then gets all ones, what is written vanishes, and the
 * card, reset as by the loss of its power, masters the bus no more.
 *
 * Source: PCI Express Base Specification 6.0, section 2.3.2 (reads that are not answered), 6.7.6 (async removal).
 */
import { loadNative } from '../../emulator/native';
import { type DeviceLayout, type DmaMapping, type SetIrqs, type Device } from '../../emulator/device';

export class SlotLink implements Device {
  private up = true;

  constructor(private readonly device: Device) {}

  get isUp(): boolean {
    return this.up;
  }

  /** For good: a card that comes back is a new one. */
  goDown(): void {
    if (!this.up) return;
    this.up = false;
    try {
      this.device.reset();
    } finally {
      this.blankMappedWindows();
    }
  }

  get layout(): DeviceLayout {
    return this.device.layout;
  }

  readRegion(region: number, offset: number, data: Uint8Array): void {
    if (this.up) this.device.readRegion(region, offset, data);
    else data.fill(0xff);
  }

  writeRegion(region: number, offset: number, data: Uint8Array): void {
    if (this.up) this.device.writeRegion(region, offset, data);
  }

  mapDma(mapping: DmaMapping): void {
    this.device.mapDma(mapping);
  }

  unmapDma(iova: bigint, sizeBytes: bigint): readonly DmaMapping[] {
    return this.device.unmapDma(iova, sizeBytes);
  }

  setIrqs(request: SetIrqs): void {
    this.device.setIrqs(request);
  }

  reset(): void {
    if (this.up) this.device.reset();
  }

  /** Windows that the client has mapped are read without asking us: their pages are made to hold what a read would give. */
  private blankMappedWindows(): void {
    const native = loadNative();
    for (const { mappable } of this.layout.regions) {
      for (const { offset, sizeBytes } of mappable?.areas ?? []) {
        const window = native.map(mappable!.fd, offset, sizeBytes, true);
        new Uint8Array(window).fill(0xff);
        native.unmap(window);
      }
    }
  }
}
