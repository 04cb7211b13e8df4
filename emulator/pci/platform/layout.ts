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
/** A reader refuses another major version; a minor one only adds, behind what was there. */
export const TABLE_VERSION = { major: 1, minor: 0 } as const;
/** Windows and buffers of a block together: a UIO device has no more maps. */
export const MAX_MAPS = 5;
export const MAX_BLOCKS = 64;
/** With the NUL at the end. */
export const NAME_BYTES = 32;
export const COMPATIBLE_BYTES = 64;
export const PAGE_BYTES = 4096;
/** A kernel waits that long for a reset at most. */
export const MAX_RESET_MS = 10_000;

export const INTERRUPT = { NONE: 0, INTX: 1, MSIX: 2 } as const;
export const BLOCK_COHERENT = 1 << 0;
export const NO_RESET = 0xffff_ffff;

export const WINDOW: Struct = {
  name: 'ghostcard_window',
  doc: 'A window: part of a BAR that belongs to one block.',
  members: [
    { name: 'name', text: NAME_BYTES, doc: 'What the driver knows it by.' },
    { name: 'bar', type: 'le32', doc: 'BAR, 0 to 5.' },
    { name: 'reserved', type: 'le32', doc: '0.' },
    { name: 'offset', type: 'le64', doc: 'In the BAR, a multiple of 4096.' },
    { name: 'size', type: 'le64', doc: 'Bytes, a multiple of 4096.' },
  ],
};

export const BUFFER: Struct = {
  name: 'ghostcard_buffer',
  doc: 'A buffer for DMA that the kernel is to allocate (uio_dmem_genirq).',
  members: [
    { name: 'name', text: NAME_BYTES, doc: 'What the driver knows it by.' },
    { name: 'size', type: 'le64', doc: 'Bytes, a multiple of 4096.' },
  ],
};

export const BLOCK: Struct = {
  name: 'ghostcard_block',
  doc: 'A block: one platform device.',
  members: [
    { name: 'name', text: NAME_BYTES, doc: 'The device is called NAME.ID.' },
    { name: 'compatible', text: COMPATIBLE_BYTES, doc: '"manufacturer,model", as in a device tree.' },
    { name: 'interrupt', type: 'le32', doc: '0: none, 1: INTx, 2: MSI-X.' },
    { name: 'msix_vector', type: 'le32', doc: 'The vector, where `interrupt` is 2: no other block has it; else 0.' },
    { name: 'dma_mask_bits', type: 'le32', doc: 'Width of the addresses that it can drive, 1 to 64.' },
    { name: 'flags', type: 'le32', doc: 'Bit 0: coherent with the CPU caches. Other bits: 0.' },
    { name: 'window_count', type: 'le32', doc: 'Entries of `window` that count, 1 to 5.' },
    { name: 'buffer_count', type: 'le32', doc: 'Entries of `buffer` that count; with the windows at most 5.' },
    { name: 'reset_window', type: 'le32', doc: 'Index of the window with the reset register; 0xffffffff: no reset.' },
    { name: 'reset_offset', type: 'le32', doc: 'The register in that window, a multiple of 4.' },
    { name: 'reset_value', type: 'le32', doc: 'Written to reset the block.' },
    { name: 'reset_busy_mask', type: 'le32', doc: 'Bits that read 0 when the reset is over; 0: it is over at once.' },
    { name: 'reset_limit_us', type: 'le32', doc: 'Microseconds after which the reset has failed, 1 to 10000000.' },
    { name: 'reserved', type: 'le32', doc: '0.' },
    { name: 'window', of: WINDOW, count: MAX_MAPS, doc: 'Windows, in the order of the UIO maps.' },
    { name: 'buffer', of: BUFFER, count: MAX_MAPS, doc: 'Buffers; their maps follow those of the windows.' },
  ],
};

export const HEADER: Struct = {
  name: 'ghostcard_table',
  doc: 'The beginning of the table; the blocks follow, `block_size` bytes each.',
  members: [
    { name: 'magic', type: 'le32', doc: '0x54504347: "GCPT".' },
    { name: 'major', type: 'le16', doc: '1. A reader refuses others.' },
    { name: 'minor', type: 'le16', doc: '0. Higher ones add members behind these.' },
    { name: 'length', type: 'le32', doc: 'Bytes of the table, header and blocks.' },
    { name: 'crc', type: 'le32', doc: 'CRC-32 (IEEE 802.3) of all `length` bytes, with 0 in place of this field.' },
    { name: 'block_count', type: 'le16', doc: 'Blocks, 1 to 64.' },
    { name: 'block_size', type: 'le16', doc: 'Bytes from one block to the next, a multiple of 8.' },
    { name: 'reserved', text: 12, doc: '0.' },
  ],
};

export const STRUCTS = [HEADER, BLOCK, WINDOW, BUFFER] as const;
