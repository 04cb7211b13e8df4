/**
 * REGION_READ, REGION_WRITE and REGION_WRITE_MULTI: the hot path. A guest's CPU waits for every read, so these messages
 * are decoded in place and answered from one buffer, without an object or a bigint per access. Offsets have 64 bits on
 * the wire; they are combined from two 32-bit halves into a number, which is exact for every offset that a region can
 * have.
 *
 * Source: QEMU docs/interop/vfio-user.rst, section "Read and Write Operations".
 */
import { DeviceError, type RegionLayout, type Device } from '../device';
import { EINVAL } from './errno';
import { HEADER_BYTES, REGION_ACCESS_BYTES, RegionAccess, WriteMulti } from './wire';

const TWO_TO_32 = 0x1_0000_0000;
/** Accesses up to this size are bus accesses; they use preallocated views for their data. */
const LARGEST_BUS_ACCESS = 8;

export class RegionAccessor {
  /** The reply being built: header and payload. The session fills in the header and sends it. */
  readonly reply: Uint8Array;
  readonly replyView: DataView;
  readonly #readViews: readonly Uint8Array[];
  readonly #writeViews: readonly Uint8Array[];
  readonly #regions: readonly RegionLayout[];

  constructor(
    private readonly device: Device,
    private readonly maxTransferBytes: number,
  ) {
    this.reply = new Uint8Array(HEADER_BYTES + REGION_ACCESS_BYTES + maxTransferBytes);
    this.replyView = new DataView(this.reply.buffer);
    this.#regions = device.layout.regions;
    const sizes = Array.from({ length: LARGEST_BUS_ACCESS + 1 }, (_, size) => size);
    const written = new Uint8Array(LARGEST_BUS_ACCESS);
    this.#readViews = sizes.map((size) => this.reply.subarray(RegionAccess.DATA, RegionAccess.DATA + size));
    this.#writeViews = sizes.map((size) => written.subarray(0, size));
  }

  /** Executes the read message at `at`. Returns the size of the reply's payload in bytes. */
  read(view: DataView, at: number, sizeBytes: number): number {
    if (sizeBytes < RegionAccess.DATA) throw tooShort('REGION_READ', sizeBytes);
    const offset = offsetAt(view, at + RegionAccess.OFFSET);
    const region = view.getUint32(at + RegionAccess.REGION, true);
    const count = view.getUint32(at + RegionAccess.COUNT, true);
    if (!this.#check(region, offset, count).readable) throw new DeviceError(EINVAL, `region ${region} is write-only`);
    const data = this.#readViews[count] ?? this.reply.subarray(RegionAccess.DATA, RegionAccess.DATA + count);
    data.fill(0);
    this.device.readRegion(region, offset, data);
    this.#answer(view, at);
    return REGION_ACCESS_BYTES + count;
  }

  /** Executes the write message at `at`. Returns the size of the reply's payload in bytes. */
  write(bytes: Uint8Array, view: DataView, at: number, sizeBytes: number): number {
    if (sizeBytes < RegionAccess.DATA) throw tooShort('REGION_WRITE', sizeBytes);
    const region = view.getUint32(at + RegionAccess.REGION, true);
    const count = view.getUint32(at + RegionAccess.COUNT, true);
    if (sizeBytes - RegionAccess.DATA < count) {
      throw new DeviceError(
        EINVAL,
        `REGION_WRITE of ${count} bytes has ${sizeBytes - RegionAccess.DATA} bytes of data`,
      );
    }
    this.#store(region, offsetAt(view, at + RegionAccess.OFFSET), bytes, at + RegionAccess.DATA, count);
    this.#answer(view, at);
    return REGION_ACCESS_BYTES;
  }

  /** Executes the writes of one message in order. It stops at the first one that fails; those before it remain. */
  writeMulti(bytes: Uint8Array, view: DataView, at: number, sizeBytes: number): number {
    const first = at + HEADER_BYTES + WriteMulti.NUMBER_BYTES;
    const room = at + sizeBytes - first;
    if (room < 0) throw tooShort('REGION_WRITE_MULTI', sizeBytes);
    const number = offsetAt(view, at + HEADER_BYTES);
    if (number * WriteMulti.WRITE_BYTES > room) {
      throw new DeviceError(EINVAL, `REGION_WRITE_MULTI of ${number} writes has only ${room} bytes of data`);
    }
    for (let i = 0; i < number; i++) {
      const write = first + i * WriteMulti.WRITE_BYTES;
      const count = view.getUint32(write + WriteMulti.COUNT, true);
      if (count > LARGEST_BUS_ACCESS)
        throw new DeviceError(
          EINVAL,
          `REGION_WRITE_MULTI: write ${i} of ${number} has ${count} bytes; 1 to 8 are allowed`,
        );
      const offset = offsetAt(view, write + WriteMulti.OFFSET);
      this.#store(view.getUint32(write + WriteMulti.REGION, true), offset, bytes, write + WriteMulti.DATA, count);
    }
    this.replyView.setUint32(HEADER_BYTES, number, true);
    this.replyView.setUint32(HEADER_BYTES + 4, 0, true);
    return WriteMulti.NUMBER_BYTES;
  }

  #store(region: number, offset: number, bytes: Uint8Array, dataAt: number, count: number): void {
    if (!this.#check(region, offset, count).writable) throw new DeviceError(EINVAL, `region ${region} is read-only`);
    const data = this.#writeViews[count];
    if (data === undefined) {
      this.device.writeRegion(region, offset, bytes.subarray(dataAt, dataAt + count));
      return;
    }
    for (let i = 0; i < count; i++) data[i] = bytes[dataAt + i]!;
    this.device.writeRegion(region, offset, data);
  }

  #check(region: number, offset: number, count: number): RegionLayout {
    const layout = this.#regions[region];
    if (layout === undefined || count === 0 || count > this.maxTransferBytes || offset + count > layout.sizeBytes) {
      throw outOfBounds(region, offset, count, layout, this.maxTransferBytes);
    }
    return layout;
  }

  /** Offset, region and count of the reply are those of the request. */
  #answer(view: DataView, at: number): void {
    for (let i = RegionAccess.OFFSET; i < RegionAccess.DATA; i += 4) {
      this.replyView.setUint32(i, view.getUint32(at + i, true), true);
    }
  }
}

const offsetAt = (view: DataView, at: number): number =>
  view.getUint32(at, true) + view.getUint32(at + 4, true) * TWO_TO_32;

const tooShort = (command: string, sizeBytes: number): DeviceError =>
  new DeviceError(EINVAL, `${command} message of ${sizeBytes} bytes is too short`);

function outOfBounds(region: number, offset: number, count: number, layout: RegionLayout | undefined, most: number) {
  const limit =
    layout === undefined
      ? 'the region does not exist'
      : `the region has ${layout.sizeBytes} bytes, and one message transfers 1 to ${most}`;
  return new DeviceError(EINVAL, `access of ${count} bytes at 0x${offset.toString(16)} of region ${region}: ${limit}`);
}
