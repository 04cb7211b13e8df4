/**
 * A device that forwards every call to another. A stage between a client and a card (an injected fault, the link of its
 * slot, a trace) extends it and overrides the calls that it changes or observes.
 */
import { type Device, type DeviceLayout, type DmaMapping, type ResetCause, type SetIrqs } from './device';

export class ForwardingDevice implements Device {
  constructor(
    protected below: Device,
    /** Disables BAR mappings: the client then makes every access by a call, which a stage can observe and change. */
    public hidesBarMappings = false,
  ) {}

  get layout(): DeviceLayout {
    const { layout } = this.below;
    if (!this.hidesBarMappings) return layout;
    return { ...layout, regions: layout.regions.map(({ mappable: _, ...region }) => region) };
  }

  readRegion(region: number, offset: number, data: Uint8Array): void {
    this.below.readRegion(region, offset, data);
  }

  writeRegion(region: number, offset: number, data: Uint8Array): void {
    this.below.writeRegion(region, offset, data);
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

  reset(cause?: ResetCause): void {
    this.below.reset(cause);
  }
}
