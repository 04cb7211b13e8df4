/**
 * Layout of MSI-X: the capability, and the table and pending bit array in a separate BAR, each starting on a page
 * boundary (4 KiB), so that a hypervisor can emulate one and forward the other.
 *
 * Source: PCI Local Bus Spec 3.0, 6.8.2 (figures 6-10 to 6-12).
 */
import { registerBlock, registerMap } from '../../registers';
import { sharedMaps } from '../shared-maps';

const MSIX_ID = 0x11;

const PAGE = 4096;
const ENTRY_SIZE_BYTES = 16;

/** Offsets of table and pending bits of `vectors` vectors in the BAR, and the size of the BAR. */
export function msixBarLayout(vectors: number): { pbaOffset: number; endOffset: number; sizeBytes: number } {
  const pbaOffset = Math.ceil((vectors * ENTRY_SIZE_BYTES) / PAGE) * PAGE;
  const endOffset = pbaOffset + PAGE;
  return { pbaOffset, endOffset, sizeBytes: 2 ** Math.ceil(Math.log2(endOffset)) };
}

/** `next`: offset of the next capability, 0 for none. */
export const msixCapability = sharedMaps((next: number, bar: number, vectors: number) =>
  registerMap(
    {
      ID: { offset: 0x0, width: 8, access: 'ro', reset: MSIX_ID },
      NEXT: { offset: 0x1, width: 8, access: 'ro', reset: next },
      CONTROL: {
        offset: 0x2,
        width: 16,
        access: 'ro',
        fields: {
          TABLE_SIZE: { bits: [10, 0], reset: vectors - 1, doc: 'Number of vectors minus one.' },
          FUNCTION_MASK: { bits: [14], access: 'rw', doc: 'All vectors are masked, regardless of the table.' },
          ENABLE: { bits: [15], access: 'rw', doc: 'Interrupts are sent as messages, not as INTx.' },
        },
      },
      TABLE: { offset: 0x4, access: 'ro', reset: bar, doc: 'BAR of the table in bits 2:0; its offset is 0.' },
      PBA: {
        offset: 0x8,
        access: 'ro',
        reset: msixBarLayout(vectors).pbaOffset + bar,
        doc: 'BAR of the pending bits in bits 2:0, their offset in the BAR in bits 31:3.',
      },
    },
    { sizeBytes: 16 },
  ),
);

const TABLE_ENTRY = registerBlock({
  MESSAGE_ADDRESS_LOW: { offset: 0x0, access: 'ro', fields: { ADDRESS: { bits: [31, 2], access: 'rw' } } },
  MESSAGE_ADDRESS_HIGH: { offset: 0x4, access: 'rw' },
  MESSAGE_DATA: { offset: 0x8, access: 'rw' },
  VECTOR_CONTROL: {
    offset: 0xc,
    access: 'ro',
    fields: { MASK: { bits: [0], access: 'rw', reset: 1, doc: 'Messages of this vector are masked.' } },
  },
});

const PENDING_WORD = registerBlock({
  PENDING: { offset: 0x0, access: 'ro', doc: 'Vectors with a message pending, lowest vector in bit 0.' },
});

/** The BAR: one table entry per vector, then the pending bits in 32-bit words (the array is a multiple of 64 bits). */
export const msixBar = sharedMaps((vectors: number) => {
  const { pbaOffset, sizeBytes } = msixBarLayout(vectors);
  return registerMap(
    {
      VECTOR: { offset: 0, stride: ENTRY_SIZE_BYTES, count: vectors, registers: TABLE_ENTRY },
      PBA: { offset: pbaOffset, stride: 4, count: Math.ceil(vectors / 64) * 2, registers: PENDING_WORD },
    },
    { sizeBytes },
  );
});
