/**
 * Layout of the platform table: a card's description of the memory-mapped devices on it, for the kernel module that
 * creates them (guest-tools/modules). docs/platform-devices.md and the module's header are generated from here.
 *
 * Numbers and names are those of Linux: MAX_UIO_MAPS of include/linux/uio_driver.h, `compatible` of the Devicetree
 * Specification 0.4, 2.3.1.
 */
import { type Struct } from './structs';

/** "GCPT" in the first four bytes. */
export const TABLE_MAGIC = 0x5450_4347;
/** A reader refuses another major version; a minor version only appends members. */
export const TABLE_VERSION = { major: 1, minor: 0 } as const;
/** Limit of a block's windows and buffers together: the maps of a UIO device. */
export const MAX_MAPS = 5;
export const MAX_BLOCKS = 64;
/** Including the terminating NUL. */
export const NAME_BYTES = 32;
export const COMPATIBLE_BYTES = 64;
export const PAGE_BYTES = 4096;
/** The longest time that a kernel waits for a reset. */
export const MAX_RESET_MS = 10_000;

export const INTERRUPT = { NONE: 0, INTX: 1, MSIX: 2 } as const;
export const BLOCK_COHERENT = 1 << 0;
export const NO_RESET = 0xffff_ffff;

export const WINDOW: Struct = {
  name: 'ghostcard_window',
  doc: 'A window: part of a BAR that belongs to one block.',
  members: [
    { name: 'name', text: NAME_BYTES, doc: 'Name by which the driver finds it.' },
    { name: 'bar', type: 'le32', doc: 'BAR, 0 to 5.' },
    { name: 'reserved', type: 'le32', doc: '0.' },
    { name: 'offset', type: 'le64', doc: 'In the BAR, a multiple of 4096.' },
    { name: 'size', type: 'le64', doc: 'Bytes, a multiple of 4096.' },
  ],
};

export const BUFFER: Struct = {
  name: 'ghostcard_buffer',
  doc: 'A DMA buffer that the kernel is to allocate (uio_dmem_genirq).',
  members: [
    { name: 'name', text: NAME_BYTES, doc: 'Name by which the driver finds it.' },
    { name: 'size', type: 'le64', doc: 'Bytes, a multiple of 4096.' },
  ],
};

export const BLOCK: Struct = {
  name: 'ghostcard_block',
  doc: 'A block: one platform device.',
  members: [
    { name: 'name', text: NAME_BYTES, doc: 'The device is named NAME.ID.' },
    { name: 'compatible', text: COMPATIBLE_BYTES, doc: '"manufacturer,model", as in a device tree.' },
    { name: 'interrupt', type: 'le32', doc: '0: none, 1: INTx, 2: MSI-X.' },
    { name: 'msix_vector', type: 'le32', doc: 'If `interrupt` is 2: a vector that no other block uses; else 0.' },
    { name: 'dma_mask_bits', type: 'le32', doc: 'Width of its DMA addresses in bits, 1 to 64.' },
    { name: 'flags', type: 'le32', doc: 'Bit 0: coherent with the CPU caches. Other bits: 0.' },
    { name: 'window_count', type: 'le32', doc: 'Valid entries of `window`, 1 to 5.' },
    { name: 'buffer_count', type: 'le32', doc: 'Valid entries of `buffer`; with the windows at most 5.' },
    { name: 'reset_window', type: 'le32', doc: 'Index of the window with the reset register; 0xffffffff: no reset.' },
    { name: 'reset_offset', type: 'le32', doc: 'Offset of the register in that window, a multiple of 4.' },
    { name: 'reset_value', type: 'le32', doc: 'The value to write to reset the block.' },
    { name: 'reset_busy_mask', type: 'le32', doc: 'Bits that read 0 once the reset is complete; 0: complete at once.' },
    { name: 'reset_limit_us', type: 'le32', doc: 'Timeout of the reset in microseconds, 1 to 10000000.' },
    { name: 'reserved', type: 'le32', doc: '0.' },
    { name: 'window', of: WINDOW, count: MAX_MAPS, doc: 'Windows, in the order of the UIO maps.' },
    { name: 'buffer', of: BUFFER, count: MAX_MAPS, doc: 'Buffers; their maps follow those of the windows.' },
  ],
};

export const HEADER: Struct = {
  name: 'ghostcard_table',
  doc: 'The header of the table; the blocks follow, `block_size` bytes each.',
  members: [
    { name: 'magic', type: 'le32', doc: '0x54504347: "GCPT".' },
    { name: 'major', type: 'le16', doc: '1. A reader refuses other versions.' },
    { name: 'minor', type: 'le16', doc: '0. Higher versions append members.' },
    { name: 'length', type: 'le32', doc: 'Bytes of the table, header and blocks.' },
    { name: 'crc', type: 'le32', doc: 'CRC-32 (IEEE 802.3) of all `length` bytes, with this field as 0.' },
    { name: 'block_count', type: 'le16', doc: 'Blocks, 1 to 64.' },
    { name: 'block_size', type: 'le16', doc: 'Bytes from one block to the next, a multiple of 8.' },
    { name: 'reserved', text: 12, doc: '0.' },
  ],
};

export const STRUCTS = [HEADER, BLOCK, WINDOW, BUFFER] as const;
