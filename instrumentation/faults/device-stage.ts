/** A device in front of a device: what a fault at the driver's accesses is made of. */
import { type DeviceLayout, type DmaMapping, type SetIrqs, type Device } from '../../emulator/device';

export class DeviceStage implements Device {
  constructor(
    protected readonly below: Device,
    private readonly acts: Partial<Pick<Device, 'readRegion' | 'writeRegion' | 'reset'>>,
  ) {}

  /** Windows that the client maps would be reached past us. */
  get layout(): DeviceLayout {
    const { layout } = this.below;
    return { ...layout, regions: layout.regions.map(({ mappable: _, ...region }) => region) };
  }

  readRegion(region: number, offset: number, data: Uint8Array): void {
    const { readRegion } = this.acts;
    if (readRegion) readRegion(region, offset, data);
    else this.below.readRegion(region, offset, data);
  }

  writeRegion(region: number, offset: number, data: Uint8Array): void {
    const { writeRegion } = this.acts;
    if (writeRegion) writeRegion(region, offset, data);
    else this.below.writeRegion(region, offset, data);
  }

  mapDma(mapping: DmaMapping): void {
    this.below.mapDma(mapping);
  }

  unmapDma(iova: bigint, sizeBytes: bigint): readonly DmaMapping[] {
    return this.below.unmapDma(iova, sizeBytes);
  }

  setIrqs(request: SetIrqs): void {
    this.below.setIrqs(request);
  }

  reset(): void {
    const { reset } = this.acts;
    if (reset) reset();
    else this.below.reset();
  }
}
