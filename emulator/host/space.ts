/** One region of a device as a host addresses it: little-endian reads and writes of 1, 2, 4 and 8 bytes. */
import { type VfioUserDevice } from '../vfio-user/device';

export class RegionSpace {
  readonly #bytes = new Uint8Array(8);
  readonly #view = new DataView(this.#bytes.buffer);
  /** The scratch bytes cut to each access size, made once. */
  readonly #cut = [1, 2, 4, 8].map((size) => this.#bytes.subarray(0, size)) as [
    Uint8Array,
    Uint8Array,
    Uint8Array,
    Uint8Array,
  ];

  constructor(
    private readonly device: VfioUserDevice,
    readonly region: number,
  ) {}

  read8(offset: number): number {
    this.device.readRegion(this.region, offset, this.#cut[0]);
    return this.#bytes[0]!;
  }

  read16(offset: number): number {
    this.device.readRegion(this.region, offset, this.#cut[1]);
    return this.#view.getUint16(0, true);
  }

  read32(offset: number): number {
    this.device.readRegion(this.region, offset, this.#cut[2]);
    return this.#view.getUint32(0, true);
  }

  read64(offset: number): bigint {
    this.device.readRegion(this.region, offset, this.#cut[3]);
    return this.#view.getBigUint64(0, true);
  }

  write8(offset: number, value: number): void {
    this.#bytes[0] = value;
    this.device.writeRegion(this.region, offset, this.#cut[0]);
  }

  write16(offset: number, value: number): void {
    this.#view.setUint16(0, value, true);
    this.device.writeRegion(this.region, offset, this.#cut[1]);
  }

  write32(offset: number, value: number): void {
    this.#view.setUint32(0, value, true);
    this.device.writeRegion(this.region, offset, this.#cut[2]);
  }

  write64(offset: number, value: bigint): void {
    this.#view.setBigUint64(0, value, true);
    this.device.writeRegion(this.region, offset, this.#cut[3]);
  }

  /** Any number of bytes in one access. */
  readBytes(offset: number, sizeBytes: number): Uint8Array {
    const data = new Uint8Array(sizeBytes);
    this.device.readRegion(this.region, offset, data);
    return data;
  }

  writeBytes(offset: number, data: Uint8Array): void {
    this.device.writeRegion(this.region, offset, data);
  }
}
