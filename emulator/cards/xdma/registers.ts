/**
 * The register space of the DMA subsystem, the BAR of 64 KiB that AMD calls "PCIe to DMA". The MSI-X table and its pending
 * bits are in it too, at 0x8000 and 0x8fe0.
 *
 * Models: AMD PG195 (DMA/Bridge Subsystem for PCI Express), chapter Register Space; names are those of its tables. All
 * registers have 32 bits, as drivers have to access them.
 */
import { registerBlock, registerMap } from '../../registers';

export const CONFIGURATION_BYTES = 0x1_0000;
export const MSIX_TABLE_OFFSET = 0x8000;
export const MSIX_PBA_OFFSET = 0x8fe0;
export const MSIX_VECTORS = 32;
export const MAX_CHANNELS = 4;
export const MAX_USER_INTERRUPTS = 16;

/** Upper half of each identifier: 0x1fc, then the target, which is the number of the block in bits 15:12 of an offset. */
export const identifier = (target: number, channel = 0, isStream = false): number =>
  ((0x1fc0 + target) * 2 ** 16 + (isStream ? 0x8000 : 0) + channel * 0x100 + VERSION) >>> 0;
/** Of the subsystem, as all cores since 2017.1 have it. */
const VERSION = 6;

const error = (bits: readonly [number, number], doc: string) => ({ bits, role: 'error', doc }) as const;

/** H2C Channel Registers (0x0) and C2H Channel Registers (0x1). */
export const CHANNEL = registerBlock({
  IDENTIFIER: { offset: 0x00, access: 'ro', doc: '0x1fc0 (H2C) or 0x1fc1 (C2H), AXI4-Stream [15], channel [11:8], 6.' },
  CONTROL: {
    offset: 0x04,
    access: 'rw',
    doc: 'Channel control. What is enabled here is logged in STATUS.',
    fields: {
      RUN: [0, 'Starts the engine when set. Clear: it stops after the descriptor in hand.'],
      IE_DESCRIPTOR_STOPPED: [1],
      IE_DESCRIPTOR_COMPLETED: [2],
      IE_ALIGN_MISMATCH: [3],
      IE_MAGIC_STOPPED: [4],
      IE_INVALID_LENGTH: [5],
      IE_IDLE_STOPPED: [6],
      IE_READ_ERROR: [13, 9],
      IE_WRITE_ERROR: [18, 14, 'H2C only.'],
      IE_DESC_ERROR: [23, 19],
      NON_INC_MODE: [25, 'Not modelled: stored, without effect.'],
      POLLMODE_WB_ENABLE: [26, 'Write the count back after each descriptor with COMPLETED, and on an error.'],
      STREAM_WB_DISABLE: [27, 'C2H AXI4-Stream: do not write the length of what was received.'],
    },
  },
  CONTROL_W1S: { offset: 0x08, aliasOf: 'CONTROL', access: 'w1s' },
  CONTROL_W1C: { offset: 0x0c, aliasOf: 'CONTROL', access: 'w1c' },
  STATUS: {
    offset: 0x40,
    access: 'w1c',
    doc: 'Events since RUN was set, which clears them; BUSY is a state.',
    fields: {
      BUSY: { bits: [0], access: 'ro', role: 'status', doc: 'Descriptors are in hand.' },
      DESCRIPTOR_STOPPED: { bits: [1], role: 'status', doc: 'A descriptor with STOP is complete.' },
      DESCRIPTOR_COMPLETED: { bits: [2], role: 'status', doc: 'A descriptor with COMPLETED is complete.' },
      ALIGN_MISMATCH: error([3, 3], 'Source and destination of a descriptor are not aligned to each other.'),
      MAGIC_STOPPED: error([4, 4], 'A descriptor had no magic number.'),
      INVALID_LENGTH: error([5, 5], 'Streams: a length that is no multiple of the data width.'),
      IDLE_STOPPED: { bits: [6], role: 'status', doc: 'The engine is idle after RUN was cleared.' },
      READ_ERROR: error(
        [13, 9],
        'H2C, from PCIe: 0 unsupported request, 1 completer abort, 3 poisoned. C2H, from AXI: 0 decode error.',
      ),
      WRITE_ERROR: error([18, 14], 'H2C, to AXI: 0 decode error.'),
      DESC_ERROR: error([23, 19], 'Of a fetch: 0 unsupported request, 1 completer abort, 3 poisoned.'),
    },
  },
  STATUS_RC: { offset: 0x44, aliasOf: 'STATUS', access: 'rc', doc: 'Clears what it reads.' },
  COMPLETED_COUNT: { offset: 0x48, access: 'ro', role: 'data', doc: 'Descriptors completed since RUN was set.' },
  ALIGNMENTS: {
    offset: 0x4c,
    access: 'ro',
    fields: {
      ADDR_ALIGNMENT: { bits: [23, 16], reset: 1, doc: 'Bytes to which addresses must be aligned.' },
      LEN_GRANULARITY: { bits: [15, 8], reset: 1, doc: 'Bytes.' },
      ADDRESS_BITS: { bits: [7, 0], reset: 64, doc: 'Configured.' },
    },
  },
  POLL_MODE_LOW_WB_ADDRESS: { offset: 0x88, access: 'rw', doc: 'Host address of the polled count.' },
  POLL_MODE_HIGH_WB_ADDRESS: { offset: 0x8c, access: 'rw' },
  INTERRUPT_ENABLE: {
    offset: 0x90,
    access: 'rw',
    doc: 'Events in STATUS that interrupt.',
    fields: {
      DESCRIPTOR_STOPPED: [1],
      DESCRIPTOR_COMPLETED: [2],
      ALIGN_MISMATCH: [3],
      MAGIC_STOPPED: [4],
      INVALID_LENGTH: [5],
      IDLE_STOPPED: [6],
      READ_ERROR: [13, 9],
      WRITE_ERROR: [18, 14],
      DESC_ERROR: [23, 19],
    },
  },
  INTERRUPT_ENABLE_W1S: { offset: 0x94, aliasOf: 'INTERRUPT_ENABLE', access: 'w1s' },
  INTERRUPT_ENABLE_W1C: { offset: 0x98, aliasOf: 'INTERRUPT_ENABLE', access: 'w1c' },
});

/** H2C SGDMA Registers (0x4) and C2H SGDMA Registers (0x5). */
export const CHANNEL_SGDMA = registerBlock({
  IDENTIFIER: { offset: 0x00, access: 'ro', doc: '0x1fc4 (H2C) or 0x1fc5 (C2H), as that of the channel.' },
  DESCRIPTOR_LOW_ADDRESS: { offset: 0x80, access: 'rw', doc: 'Host address of the first descriptor.' },
  DESCRIPTOR_HIGH_ADDRESS: { offset: 0x84, access: 'rw' },
  DESCRIPTOR_ADJACENT: { offset: 0x88, access: 'rw', fields: { COUNT: [5, 0, 'Descriptors right behind the first.'] } },
  DESCRIPTOR_CREDITS: {
    offset: 0x8c,
    access: 'rw',
    role: 'data',
    fields: { COUNT: [9, 0, 'A write adds; a read shows what is left. 0 after RUN was cleared.'] },
  },
});

const perChannel = {
  H2C: [3, 0, 'A bit for each channel.'],
  C2H: [19, 16, 'A bit for each channel.'],
} as const;

/** SGDMA Common Registers (0x6). */
export const SGDMA_COMMON = registerBlock({
  IDENTIFIER: { offset: 0x00, access: 'ro', reset: identifier(6) },
  DESCRIPTOR_CONTROL: { offset: 0x10, access: 'rw', doc: 'Halts descriptor fetches.', fields: perChannel },
  DESCRIPTOR_CONTROL_W1S: { offset: 0x14, aliasOf: 'DESCRIPTOR_CONTROL', access: 'w1s' },
  DESCRIPTOR_CONTROL_W1C: { offset: 0x18, aliasOf: 'DESCRIPTOR_CONTROL', access: 'w1c' },
  CREDIT_MODE: { offset: 0x20, access: 'rw', doc: 'Fetches only as many descriptors as credits.', fields: perChannel },
  CREDIT_MODE_W1S: { offset: 0x24, aliasOf: 'CREDIT_MODE', access: 'w1s' },
  CREDIT_MODE_W1C: { offset: 0x28, aliasOf: 'CREDIT_MODE', access: 'w1c' },
});

const vectors = (offset: number, of: string) =>
  ({
    offset,
    access: 'rw',
    doc: `MSI or MSI-X vectors of ${of}.`,
    fields: { VECTOR0: [4, 0], VECTOR1: [12, 8], VECTOR2: [20, 16], VECTOR3: [28, 24] },
  }) as const;

/** IRQ Block Registers (0x2). Bit n is user interrupt n; of channels, C2H follow behind the last H2C. */
const irqBlock = (users: number, channels: number) => {
  const user = { USER: [users - 1, 0] } as const;
  const channel = { CHANNEL: [channels - 1, 0] } as const;
  return registerBlock({
    IDENTIFIER: { offset: 0x00, access: 'ro', reset: identifier(2) },
    USER_ENABLE: { offset: 0x04, access: 'rw', fields: user },
    USER_ENABLE_W1S: { offset: 0x08, aliasOf: 'USER_ENABLE', access: 'w1s' },
    USER_ENABLE_W1C: { offset: 0x0c, aliasOf: 'USER_ENABLE', access: 'w1c' },
    CHANNEL_ENABLE: { offset: 0x10, access: 'rw', fields: channel },
    CHANNEL_ENABLE_W1S: { offset: 0x14, aliasOf: 'CHANNEL_ENABLE', access: 'w1s' },
    CHANNEL_ENABLE_W1C: { offset: 0x18, aliasOf: 'CHANNEL_ENABLE', access: 'w1c' },
    USER_REQUEST: { offset: 0x40, access: 'ro', role: 'status', doc: 'Pending and enabled.', fields: user },
    CHANNEL_REQUEST: { offset: 0x44, access: 'ro', role: 'status', doc: 'Pending and enabled.', fields: channel },
    USER_PENDING: { offset: 0x48, access: 'ro', role: 'status', doc: 'Until the cause is gone.', fields: user },
    CHANNEL_PENDING: { offset: 0x4c, access: 'ro', role: 'status', doc: 'Until the cause is gone.', fields: channel },
    USER_VECTORS_0: vectors(0x80, 'user interrupts 0 to 3'),
    USER_VECTORS_1: vectors(0x84, 'user interrupts 4 to 7'),
    USER_VECTORS_2: vectors(0x88, 'user interrupts 8 to 11'),
    USER_VECTORS_3: vectors(0x8c, 'user interrupts 12 to 15'),
    CHANNEL_VECTORS_0: vectors(0xa0, 'channels 0 to 3'),
    CHANNEL_VECTORS_1: vectors(0xa4, 'channels 4 to 7'),
  });
};

const SIZES = { B128: 0, B256: 1, B512: 2, B1024: 3, B2048: 4, B4096: 5 } as const;
const userSize = {
  EFFECTIVE: { bits: [6, 4], access: 'ro', reset: SIZES.B4096, values: SIZES },
  PROGRAMMED: { bits: [2, 0], reset: SIZES.B4096, values: SIZES },
} as const;

/** Config Block Registers (0x3). */
const CONFIG = registerBlock({
  IDENTIFIER: { offset: 0x00, access: 'ro', reset: identifier(3) },
  BUS_DEVICE: { offset: 0x04, access: 'ro', fields: { BUS_DEVICE: [15, 0, 'Not modelled: 0.'] } },
  MAX_PAYLOAD: { offset: 0x08, access: 'ro', fields: { SIZE: { bits: [2, 0], reset: SIZES.B256, values: SIZES } } },
  MAX_READ_REQUEST: {
    offset: 0x0c,
    access: 'ro',
    fields: { SIZE: { bits: [2, 0], reset: SIZES.B512, values: SIZES } },
  },
  SYSTEM_ID: { offset: 0x10, access: 'ro', reset: 0xff01 },
  MSI_ENABLE: { offset: 0x14, access: 'ro', fields: { MSI: [0], MSIX: [1] } },
  DATA_WIDTH: { offset: 0x18, access: 'ro', fields: { PCIE_WIDTH: { bits: [2, 0], reset: 3, doc: '3: 512 bits.' } } },
  PCIE_CONTROL: { offset: 0x1c, access: 'rw', fields: { RELAXED_ORDERING: [0] } },
  USER_MAX_PAYLOAD: { offset: 0x40, access: 'rw', fields: userSize },
  USER_MAX_READ_REQUEST: { offset: 0x44, access: 'rw', fields: userSize },
  WRITE_FLUSH_TIMEOUT: { offset: 0x60, access: 'rw', fields: { LOG2_CLOCKS: [4, 0] } },
});

/** What the number of registers depends on. */
export interface XdmaShape {
  readonly h2cChannels: number;
  readonly c2hChannels: number;
  readonly userInterrupts: number;
}

/** Drivers look for the identifiers of four channels each way. */
const ABSENT_CHANNEL = registerBlock({
  IDENTIFIER: { offset: 0x00, access: 'ro', doc: '0: there is no such channel.' },
});

function absent(name: string, offset: number, count: number): Record<never, never> {
  if (count === MAX_CHANNELS) return {};
  const rest = { offset: offset + count * 0x100, stride: 0x100, count: MAX_CHANNELS - count };
  return { [`${name}_ABSENT`]: { ...rest, registers: ABSENT_CHANNEL } };
}

/** The map of a core of this shape. */
export function xdmaRegisters({ h2cChannels, c2hChannels, userInterrupts }: XdmaShape) {
  const h2c = { stride: 0x100, count: h2cChannels };
  const c2h = { stride: 0x100, count: c2hChannels };
  return registerMap(
    {
      H2C: { offset: 0x0000, ...h2c, doc: 'Host-to-card channels.', registers: CHANNEL },
      C2H: { offset: 0x1000, ...c2h, doc: 'Card-to-host channels.', registers: CHANNEL },
      ...absent('H2C', 0x0000, h2cChannels),
      ...absent('C2H', 0x1000, c2hChannels),
      IRQ: { offset: 0x2000, doc: 'Interrupts.', registers: irqBlock(userInterrupts, h2cChannels + c2hChannels) },
      CONFIG: { offset: 0x3000, doc: 'Configuration of the core.', registers: CONFIG },
      H2C_SGDMA: { offset: 0x4000, ...h2c, doc: 'Where H2C descriptors are.', registers: CHANNEL_SGDMA },
      C2H_SGDMA: { offset: 0x5000, ...c2h, doc: 'Where C2H descriptors are.', registers: CHANNEL_SGDMA },
      SGDMA: { offset: 0x6000, doc: 'Of all channels.', registers: SGDMA_COMMON },
    },
    { sizeBytes: CONFIGURATION_BYTES },
  );
}

/** The map of the largest core. */
export const XDMA_REGISTERS = xdmaRegisters({
  h2cChannels: MAX_CHANNELS,
  c2hChannels: MAX_CHANNELS,
  userInterrupts: MAX_USER_INTERRUPTS,
});
