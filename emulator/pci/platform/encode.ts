/** The bytes of a platform table. */
import { crc32 } from 'node:zlib';
import { type ResolvedWindow } from './check';
import { type PlatformDevice } from './declaration';
import { BLOCK, BLOCK_COHERENT, HEADER, INTERRUPT, NO_RESET, TABLE_MAGIC, TABLE_VERSION } from './layout';
import { placedMembers, structBytes, type Values, writeStruct } from './structs';

const DEFAULT_RESET_LIMIT_MS = 100;
const CRC_OFFSET = placedMembers(HEADER).find(({ member }) => member.name === 'crc')!.offset;

/** Size in bytes of the table of `blocks` devices. */
export const tableBytes = (blocks: number): number => structBytes(HEADER) + blocks * structBytes(BLOCK);

/** `windows`: those of each device, from `resolveWindows`. */
export function encodeTable(
  devices: readonly PlatformDevice[],
  windows: readonly (readonly ResolvedWindow[])[],
): Uint8Array {
  const bytes = new Uint8Array(tableBytes(devices.length));
  const view = new DataView(bytes.buffer);
  writeStruct(view, 0, HEADER, {
    magic: TABLE_MAGIC,
    major: TABLE_VERSION.major,
    minor: TABLE_VERSION.minor,
    length: bytes.length,
    block_count: devices.length,
    block_size: structBytes(BLOCK),
  });
  for (const [index, device] of devices.entries()) {
    writeStruct(view, tableBytes(index), BLOCK, blockValues(device, windows[index]!));
  }
  view.setUint32(CRC_OFFSET, crc32(bytes), true);
  return bytes;
}

function blockValues(device: PlatformDevice, windows: readonly ResolvedWindow[]): Values {
  const { name, compatible, interrupt, dmaMaskBits = 64, coherent = true, dmaBuffers = {}, reset } = device;
  return {
    name,
    compatible,
    ...interruptValues(interrupt),
    dma_mask_bits: dmaMaskBits,
    flags: coherent ? BLOCK_COHERENT : 0,
    window_count: windows.length,
    buffer_count: Object.keys(dmaBuffers).length,
    ...(reset === undefined
      ? { reset_window: NO_RESET }
      : {
          reset_window: windows.findIndex((window) => window.name === reset.window),
          reset_offset: reset.offset,
          reset_value: reset.value,
          reset_busy_mask: reset.busyMask ?? 0,
          reset_limit_us: Math.ceil((reset.limitMs ?? DEFAULT_RESET_LIMIT_MS) * 1000),
        }),
    window: windows.map(({ name, bar, offset, sizeBytes }) => ({ name, bar, offset, size: sizeBytes })),
    buffer: Object.entries(dmaBuffers).map(([name, size]) => ({ name, size })),
  };
}

function interruptValues(interrupt: PlatformDevice['interrupt']): Values {
  if (interrupt === undefined) return { interrupt: INTERRUPT.NONE };
  if (interrupt === 'intx') return { interrupt: INTERRUPT.INTX };
  return { interrupt: INTERRUPT.MSIX, msix_vector: interrupt.msixVector };
}
