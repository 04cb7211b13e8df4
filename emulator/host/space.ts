/**
 * One region of a device as a host addresses it: little-endian reads and writes of 1, 2, 4 and 8 bytes.
 *
 * The hook of a register may raise an interrupt, and a test's handler may access the same region during the first access.
 * A register of up to 32 bits has stored its data before its hooks run, so these accesses share the scratch bytes; an
 * access of 8 bytes may touch two registers, and has a separate buffer.
 */
import { type Device } from '../device';

/** A region of a device as a host addresses it: little-endian accesses of 1, 2, 4 and 8 bytes. */
export class RegionSpace {
  readonly #bytes = new Uint8Array(4);
  readonly #view = new DataView(this.#bytes.buffer);
  /** Views of the scratch bytes for each access size, made once. */
  readonly #views = [1, 2, 4].map((size) => this.#bytes.subarray(0, size)) as [Uint8Array, Uint8Array, Uint8Array];

  /** @internal */
  constructor(
    private readonly device: Device,
    readonly region: number,
  ) {}

  /** Bytes; 0: the device has no such region. */
  get sizeBytes(): number {
    return this.device.layout.regions[this.region]?.sizeBytes ?? 0;
  }

  /** One byte. @throws RangeError, or the error of the device */
  read8(offset: number): number {
    this.device.readRegion(this.region, offset, this.#views[0]);
    return this.#bytes[0]!;
  }

  /** Two bytes, little-endian. */
  read16(offset: number): number {
    this.device.readRegion(this.region, offset, this.#views[1]);
    return this.#view.getUint16(0, true);
  }

  /** Four bytes, little-endian. */
  read32(offset: number): number {
    this.device.readRegion(this.region, offset, this.#views[2]);
    return this.#view.getUint32(0, true);
  }

  /** Eight bytes, little-endian. */
  read64(offset: number): bigint {
    const bytes = this.readBytes(offset, 8);
    return new DataView(bytes.buffer).getBigUint64(0, true);
  }

  /** One byte. */
  write8(offset: number, value: number): void {
    this.#bytes[0] = value;
    this.device.writeRegion(this.region, offset, this.#views[0]);
  }

  /** Two bytes, little-endian. */
  write16(offset: number, value: number): void {
    this.#view.setUint16(0, value, true);
    this.device.writeRegion(this.region, offset, this.#views[1]);
  }

  /** Four bytes, little-endian. */
  write32(offset: number, value: number): void {
    this.#view.setUint32(0, value, true);
    this.device.writeRegion(this.region, offset, this.#views[2]);
  }

  /** Eight bytes, little-endian. */
  write64(offset: number, value: bigint): void {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, value, true);
    this.writeBytes(offset, bytes);
  }

  /** Any number of bytes in one access. */
  readBytes(offset: number, sizeBytes: number): Uint8Array {
    const data = new Uint8Array(sizeBytes);
    this.device.readRegion(this.region, offset, data);
    return data;
  }

  /** One access of 1, 2, 4 or 8 bytes. */
  writeBytes(offset: number, data: Uint8Array): void {
    this.device.writeRegion(this.region, offset, data);
  }
}
