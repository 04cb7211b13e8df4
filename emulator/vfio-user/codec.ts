/**
 * Codecs for the payloads of the set-up commands, as pure functions: bytes of a request to values, values to bytes of a
 * reply. Region and DMA accesses are not here: they are decoded in place, without objects (region-access.ts,
 * remote-dma.ts).
 *
 * Source: QEMU docs/interop/vfio-user.rst; Linux include/uapi/linux/vfio.h.
 */
import { DeviceError, type DeviceLayout, type IrqLayout, type RegionLayout } from '../device';
import { EINVAL } from './errno';
import {
  DEVICE_INFO_BYTES,
  DeviceFlag,
  DMA_MAP_BYTES,
  DMA_UNMAP_BYTES,
  DmaMapFlag,
  Header,
  HEADER_BYTES,
  HeaderFlag,
  IRQ_INFO_BYTES,
  IRQ_SET_BYTES,
  IrqFlag,
  IrqSetFlag,
  REGION_INFO_BYTES,
  REGION_IO_FDS_BYTES,
  RegionFlag,
  SparseMmap,
} from './wire';

export interface MessageHeader {
  readonly id: number;
  readonly command: number;
  /** Of the whole message, including the header. */
  readonly sizeBytes: number;
  readonly flags: number;
  readonly errno: number;
}

export function decodeHeader(view: DataView, at: number): MessageHeader {
  return {
    id: view.getUint16(at + Header.ID, true),
    command: view.getUint16(at + Header.COMMAND, true),
    sizeBytes: view.getUint32(at + Header.SIZE, true),
    flags: view.getUint32(at + Header.FLAGS, true),
    errno: view.getUint32(at + Header.ERROR, true),
  };
}

/** Writes a header. It is on the hot path, so it takes plain numbers. */
export function encodeHeader(view: DataView, id: number, command: number, sizeBytes: number, flags: number, errno = 0) {
  view.setUint16(Header.ID, id, true);
  view.setUint16(Header.COMMAND, command, true);
  view.setUint32(Header.SIZE, sizeBytes, true);
  view.setUint32(Header.FLAGS, flags, true);
  view.setUint32(Header.ERROR, errno, true);
}

export const isReply = (flags: number): boolean => (flags & HeaderFlag.TYPE_MASK) === HeaderFlag.TYPE_REPLY;

/** What is wrong with a header, or undefined. After such a header the stream cannot be parsed any further. */
export function headerError({ sizeBytes, flags }: MessageHeader, maxMessageBytes: number): string | undefined {
  const type = flags & HeaderFlag.TYPE_MASK;
  if (type !== HeaderFlag.TYPE_COMMAND && type !== HeaderFlag.TYPE_REPLY) {
    return `message type ${type} is neither a command (0) nor a reply (1)`;
  }
  if (sizeBytes < HEADER_BYTES) return `a message of ${sizeBytes} bytes is shorter than its header (${HEADER_BYTES})`;
  if (sizeBytes > maxMessageBytes)
    return `a message of ${sizeBytes} bytes is longer than the negotiated maximum (${maxMessageBytes})`;
  return undefined;
}

const viewOf = (payload: Uint8Array): DataView => new DataView(payload.buffer, payload.byteOffset, payload.length);

function sized(payload: Uint8Array, command: string, atLeast: number): DataView {
  if (payload.length >= atLeast) return viewOf(payload);
  throw new DeviceError(EINVAL, `${command} has ${payload.length} bytes of payload; it needs ${atLeast}`);
}

export interface DmaMapRequest {
  readonly readable: boolean;
  readonly writable: boolean;
  readonly fileOffset: bigint;
  readonly iova: bigint;
  readonly sizeBytes: bigint;
}

export function decodeDmaMap(payload: Uint8Array): DmaMapRequest {
  const view = sized(payload, 'DMA_MAP', DMA_MAP_BYTES);
  const flags = view.getUint32(4, true);
  if ((flags & ~(DmaMapFlag.READ | DmaMapFlag.WRITE)) !== 0) {
    throw new DeviceError(EINVAL, `DMA_MAP: unknown flags 0x${flags.toString(16)}`);
  }
  const iova = view.getBigUint64(16, true);
  const sizeBytes = view.getBigUint64(24, true);
  if (sizeBytes === 0n || iova + sizeBytes > 1n << 64n) {
    throw new DeviceError(
      EINVAL,
      `DMA_MAP: 0x${sizeBytes.toString(16)} bytes at 0x${iova.toString(16)} is not a valid range`,
    );
  }
  return {
    readable: (flags & DmaMapFlag.READ) !== 0,
    writable: (flags & DmaMapFlag.WRITE) !== 0,
    fileOffset: view.getBigUint64(8, true),
    iova,
    sizeBytes,
  };
}

export interface DmaUnmapRequest {
  readonly flags: number;
  readonly iova: bigint;
  readonly sizeBytes: bigint;
}

export function decodeDmaUnmap(payload: Uint8Array): DmaUnmapRequest {
  const view = sized(payload, 'DMA_UNMAP', DMA_UNMAP_BYTES);
  return {
    flags: view.getUint32(4, true),
    iova: view.getBigUint64(8, true),
    sizeBytes: view.getBigUint64(16, true),
  };
}

export interface InfoRequest {
  /** The longest reply payload that the client accepts, in bytes. */
  readonly argsz: number;
  readonly index: number;
}

/** The common start of DEVICE_GET_REGION_INFO, DEVICE_GET_REGION_IO_FDS and DEVICE_GET_IRQ_INFO. */
export function decodeInfoRequest(payload: Uint8Array, command: string, replyBytes: number): InfoRequest {
  const view = sized(payload, command, 12);
  const argsz = view.getUint32(0, true);
  if (argsz < replyBytes) {
    throw new DeviceError(EINVAL, `${command}: argsz ${argsz} is too small for the reply (${replyBytes})`);
  }
  return { argsz, index: view.getUint32(8, true) };
}

/** The reply to DEVICE_GET_INFO, for a PCI device. */
export function encodeDeviceInfo(layout: DeviceLayout): Uint8Array {
  const payload = new Uint8Array(DEVICE_INFO_BYTES);
  const view = viewOf(payload);
  view.setUint32(0, DEVICE_INFO_BYTES, true);
  view.setUint32(4, DeviceFlag.PCI | (layout.resettable ? DeviceFlag.RESET : 0), true);
  view.setUint32(8, layout.regions.length, true);
  view.setUint32(12, layout.irqs.length, true);
  return payload;
}

/** The reply to DEVICE_GET_REGION_INFO. If `argsz` is too small, only its fixed part, with the argsz that is needed. */
export function encodeRegionInfo(index: number, region: RegionLayout, argsz: number): Uint8Array {
  const areas = region.mappable?.areas ?? [];
  const whole = areas.length === 1 && areas[0]!.offset === 0 && areas[0]!.sizeBytes === region.sizeBytes;
  const sparse = areas.length > 0 && !whole;
  const fullBytes = REGION_INFO_BYTES + (sparse ? SparseMmap.HEADER_BYTES + areas.length * SparseMmap.AREA_BYTES : 0);
  const payload = new Uint8Array(argsz < fullBytes ? REGION_INFO_BYTES : fullBytes);
  const view = viewOf(payload);
  const flags =
    (region.readable ? RegionFlag.READ : 0) |
    (region.writable ? RegionFlag.WRITE : 0) |
    (areas.length > 0 ? RegionFlag.MMAP : 0) |
    (sparse ? RegionFlag.CAPS : 0);
  view.setUint32(0, fullBytes, true);
  view.setUint32(4, flags, true);
  view.setUint32(8, index, true);
  // Set even if the reply is cut: QEMU refuses capabilities that begin inside the fixed part.
  view.setUint32(12, sparse ? REGION_INFO_BYTES : 0, true);
  view.setBigUint64(16, BigInt(region.sizeBytes), true);
  view.setBigUint64(24, 0n, true);
  if (payload.length > REGION_INFO_BYTES) encodeSparseMmap(view, REGION_INFO_BYTES, areas);
  return payload;
}

function encodeSparseMmap(view: DataView, at: number, areas: readonly { offset: number; sizeBytes: number }[]): void {
  view.setUint16(at, SparseMmap.CAPABILITY, true);
  view.setUint16(at + 2, SparseMmap.VERSION, true);
  view.setUint32(at + 4, 0, true);
  view.setUint32(at + 8, areas.length, true);
  areas.forEach(({ offset, sizeBytes }, i) => {
    const area = at + SparseMmap.HEADER_BYTES + i * SparseMmap.AREA_BYTES;
    view.setBigUint64(area, BigInt(offset), true);
    view.setBigUint64(area + 8, BigInt(sizeBytes), true);
  });
}

/** The reply to DEVICE_GET_REGION_IO_FDS for a region without such descriptors: an empty list. */
export function encodeNoRegionIoFds(index: number): Uint8Array {
  const payload = new Uint8Array(REGION_IO_FDS_BYTES);
  viewOf(payload).setUint32(0, REGION_IO_FDS_BYTES, true);
  viewOf(payload).setUint32(8, index, true);
  return payload;
}

export function encodeIrqInfo(index: number, irq: IrqLayout): Uint8Array {
  const payload = new Uint8Array(IRQ_INFO_BYTES);
  const view = viewOf(payload);
  const flags =
    IrqFlag.EVENTFD |
    (irq.maskable ? IrqFlag.MASKABLE : 0) |
    (irq.autoMasked ? IrqFlag.AUTOMASKED : 0) |
    (irq.noResize ? IrqFlag.NORESIZE : 0);
  view.setUint32(0, IRQ_INFO_BYTES, true);
  view.setUint32(4, flags, true);
  view.setUint32(8, index, true);
  view.setUint32(12, irq.count, true);
  return payload;
}

export interface SetIrqsRequest {
  readonly data: 'none' | 'bool' | 'eventfd';
  readonly action: 'mask' | 'unmask' | 'trigger';
  readonly index: number;
  readonly start: number;
  readonly count: number;
  /** One per vector if `data` is 'bool', else empty. */
  readonly vectors: readonly boolean[];
}

const dataKinds = new Map([
  [IrqSetFlag.DATA_NONE as number, 'none'],
  [IrqSetFlag.DATA_BOOL as number, 'bool'],
  [IrqSetFlag.DATA_EVENTFD as number, 'eventfd'],
] as const);
const actionKinds = new Map([
  [IrqSetFlag.ACTION_MASK as number, 'mask'],
  [IrqSetFlag.ACTION_UNMASK as number, 'unmask'],
  [IrqSetFlag.ACTION_TRIGGER as number, 'trigger'],
] as const);

/**
 * Decodes DEVICE_SET_IRQS and checks it against the device's interrupts: exactly one data flag, exactly one action
 * flag, and only vectors that exist. @throws DeviceError EINVAL
 */
export function decodeSetIrqs(payload: Uint8Array, irqs: readonly IrqLayout[]): SetIrqsRequest {
  const view = sized(payload, 'DEVICE_SET_IRQS', IRQ_SET_BYTES);
  const flags = view.getUint32(4, true);
  const data = dataKinds.get(flags & 7);
  const action = actionKinds.get(flags & ~7);
  const index = view.getUint32(8, true);
  const start = view.getUint32(12, true);
  const count = view.getUint32(16, true);
  const refuse = (why: string): never => {
    throw new DeviceError(EINVAL, `DEVICE_SET_IRQS of index ${index}, vectors ${start} + ${count}: ${why}`);
  };
  const irq = irqs[index];
  if (data === undefined || action === undefined) {
    return refuse(`flags 0x${flags.toString(16)} must have exactly one data flag and one action flag`);
  }
  if (irq === undefined) return refuse(`the device has interrupt indexes 0 to ${irqs.length - 1}`);
  if (start + count > irq.count) return refuse(`the index has ${irq.count} vectors`);
  if (count === 0 && !(data === 'none' && action === 'trigger' && start === 0)) {
    return refuse('a count of 0 is only allowed with flags 0x21 and start 0 (disable the index)');
  }
  if (action !== 'trigger' && !irq.maskable) return refuse('the index cannot be masked');
  if (data === 'bool' && payload.length < IRQ_SET_BYTES + count) {
    return refuse(`it has ${payload.length - IRQ_SET_BYTES} booleans`);
  }
  const vectors = data === 'bool' ? Array.from(payload.subarray(IRQ_SET_BYTES, IRQ_SET_BYTES + count), Boolean) : [];
  return { data, action, index, start, count, vectors };
}
