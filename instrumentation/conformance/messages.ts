/**
 * Bytes of messages, right and wrong ones: nothing is checked here, since a case has to be able to send anything.
 *
 * Source: QEMU docs/interop/vfio-user.rst; Linux include/uapi/linux/vfio.h.
 */
import { encodeHeader } from '../../emulator/vfio-user/codec';
import { HEADER_BYTES } from '../../emulator/vfio-user/wire';

export interface MessageFields {
  readonly id?: number;
  readonly command: number;
  readonly flags?: number;
  readonly errno?: number;
  /** Of the whole message. Default: what it is. */
  readonly sizeBytes?: number;
  readonly payload?: Uint8Array;
}

export function messageOf({ id = 1, command, flags = 0, errno = 0, sizeBytes, payload }: MessageFields): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES + (payload?.length ?? 0));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  encodeHeader(view, id, command, sizeBytes ?? bytes.length, flags, errno);
  if (payload) bytes.set(payload, HEADER_BYTES);
  return bytes;
}

/** 32-bit words, little-endian. */
export function words(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  values.forEach((value, i) => bytes.writeUInt32LE(value, i * 4));
  return bytes;
}

/** 64-bit words, little-endian, modulo 2^64. */
export function longs(...values: readonly bigint[]): Buffer {
  const bytes = Buffer.alloc(values.length * 8);
  values.forEach((value, i) => bytes.writeBigUInt64LE(BigInt.asUintN(64, value), i * 8));
  return bytes;
}

/** VERSION: the text is not checked; `undefined` leaves the version data out. */
export function versionOf(data: string | Uint8Array | undefined, major = 0, minor = 0): Buffer {
  const start = words(major + minor * 0x1_0000);
  if (data === undefined) return start;
  return Buffer.concat([start, typeof data === 'string' ? Buffer.from(`${data}\0`) : data]);
}

export const capabilitiesOf = (capabilities: object): string => JSON.stringify({ capabilities });

export interface MapFields {
  readonly iova: bigint;
  readonly sizeBytes: bigint;
  readonly fileOffset?: bigint;
  readonly flags?: number;
  readonly argsz?: number;
}

export const mapOf = ({ iova, sizeBytes, fileOffset = 0n, flags = 3, argsz = 32 }: MapFields): Buffer =>
  Buffer.concat([words(argsz, flags), longs(fileOffset, iova, sizeBytes)]);

export const unmapOf = (iova: bigint, sizeBytes: bigint, flags = 0): Buffer =>
  Buffer.concat([words(24, flags), longs(iova, sizeBytes)]);

export const deviceInfoOf = (argsz = 16): Buffer => words(argsz, 0, 0, 0);
export const regionInfoOf = (index: number, argsz = 32): Buffer => words(argsz, 0, index, 0, 0, 0, 0, 0);
export const irqInfoOf = (index: number, argsz = 16): Buffer => words(argsz, 0, index, 0);
export const regionIoFdsOf = (index: number, argsz = 16): Buffer => words(argsz, 0, index, 0);

export const readOf = (region: number, offset: bigint | number, count: number): Buffer =>
  Buffer.concat([longs(BigInt(offset)), words(region, count)]);

export const writeOf = (region: number, offset: bigint | number, data: Uint8Array, count = data.length): Buffer =>
  Buffer.concat([readOf(region, offset, count), data]);

export interface MultiWrite {
  readonly region: number;
  readonly offset: bigint | number;
  readonly data: Uint8Array;
  readonly count?: number;
}

export function writeMultiOf(writes: readonly MultiWrite[], number = BigInt(writes.length)): Buffer {
  const one = ({ region, offset, data, count }: MultiWrite): Buffer => {
    const padded = Buffer.alloc(8);
    padded.set(data.subarray(0, 8));
    return Buffer.concat([readOf(region, offset, count ?? data.length), padded]);
  };
  return Buffer.concat([longs(number), ...writes.map(one)]);
}

export interface IrqFields {
  readonly flags: number;
  readonly index: number;
  readonly start?: number;
  readonly count: number;
  readonly argsz?: number;
  readonly data?: Uint8Array;
}

export const setIrqsOf = ({ flags, index, start = 0, count, argsz, data = new Uint8Array(0) }: IrqFields): Buffer =>
  Buffer.concat([words(argsz ?? 20 + data.length, flags, index, start, count), data]);
