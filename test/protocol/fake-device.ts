/**
 * A device of four regions without a function: what was written is read back, and every call of the device interface is
 * logged. Region 0: registers; 1: read-only; 2: memory that a client may map (when given); 7: configuration space.
 */
import { AddressMap, AddressMapError, DmaAccess, type DmaMapping } from '../../emulator/memory';
import {
  DeviceError,
  type DeviceLayout,
  type IrqSink,
  type MappableArea,
  type RegionLayout,
  type SetIrqs,
  type Device,
} from '../../emulator/device';

export interface MappableMemory {
  readonly fd: number;
  readonly bytes: Uint8Array;
  readonly areas: readonly MappableArea[];
}

const absent: RegionLayout = { sizeBytes: 0, readable: false, writable: false };
const readWrite = (sizeBytes: number): RegionLayout => ({ sizeBytes, readable: true, writable: true });

export class FakeDevice implements Device {
  readonly layout: DeviceLayout;
  readonly regions: Uint8Array[];
  /** The calls in order, as short sentences. */
  readonly calls: string[] = [];
  readonly sinks: (IrqSink | undefined)[][] = [[], [], [], [], []];
  readonly requests: SetIrqs[] = [];
  readonly map = new AddressMap();
  readonly dma = new DmaAccess(this.map, () => true);
  resets = 0;
  /** Called instead of storing, when set: what the device does on a write. */
  onWrite: ((region: number, offset: number, data: Uint8Array) => void) | undefined;
  onRead: ((region: number, offset: number, data: Uint8Array) => void) | undefined;

  constructor(memory?: MappableMemory, { resettable = true, regionBytes = 8192 } = {}) {
    const mappable = memory && { mappable: { fd: memory.fd, areas: memory.areas } };
    this.layout = {
      resettable,
      regions: [
        readWrite(regionBytes),
        { sizeBytes: 4096, readable: true, writable: false },
        { ...readWrite(memory?.bytes.length ?? 4096), ...mappable },
        absent,
        { sizeBytes: 4096, readable: false, writable: true },
        absent,
        absent,
        readWrite(256),
        absent,
      ],
      irqs: [
        { count: 1, maskable: true, autoMasked: true, noResize: false },
        { count: 8, maskable: false, autoMasked: false, noResize: false },
        { count: 64, maskable: true, autoMasked: false, noResize: false },
        { count: 1, maskable: false, autoMasked: false, noResize: false },
        { count: 0, maskable: false, autoMasked: false, noResize: true },
      ],
    };
    this.regions = this.layout.regions.map(({ sizeBytes }) => new Uint8Array(sizeBytes));
    if (memory) this.regions[2] = memory.bytes;
  }

  readRegion(region: number, offset: number, data: Uint8Array): void {
    this.calls.push(`read ${region}:0x${offset.toString(16)}+${data.length}`);
    if (this.onRead) this.onRead(region, offset, data);
    else data.set(this.regions[region]!.subarray(offset, offset + data.length));
  }

  writeRegion(region: number, offset: number, data: Uint8Array): void {
    this.calls.push(`write ${region}:0x${offset.toString(16)}=${Buffer.from(data.subarray(0, 16)).toString('hex')}`);
    if (this.onWrite) this.onWrite(region, offset, data);
    else this.regions[region]!.set(data, offset);
  }

  mapDma(mapping: DmaMapping): void {
    try {
      this.map.add(mapping);
    } catch (error) {
      if (error instanceof AddressMapError) throw new DeviceError(17 /* EEXIST */, error.message);
      throw error;
    }
  }

  unmapDma(iova: bigint, sizeBytes: bigint): readonly DmaMapping[] {
    try {
      return this.map.remove(iova, sizeBytes);
    } catch (error) {
      if (error instanceof AddressMapError) throw new DeviceError(22 /* EINVAL */, error.message);
      throw error;
    }
  }

  setIrqs(request: SetIrqs): void {
    this.requests.push(request);
    const { index, start, count, action } = request;
    if (action.kind !== 'sinks') return;
    const sinks = this.sinks[index]!;
    if (count === 0) {
      for (const sink of sinks) sink?.close();
      sinks.length = 0;
    }
    action.sinks.forEach((sink, i) => {
      sinks[start + i]?.close();
      sinks[start + i] = sink;
    });
  }

  reset(): void {
    this.resets++;
    this.calls.push('reset');
  }
}
