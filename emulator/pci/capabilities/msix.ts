/**
 * Layout of MSI-X: the capability, the table and the pending bit array. Each starts on a page boundary (4 KiB) unless the
 * card says otherwise, so that a hypervisor can emulate one and forward the other.
 *
 * Source: PCI Local Bus Spec 3.0, 6.8.2 (figures 6-10 to 6-12).
 */
import { registerBlock, registerMap } from '../../registers';
import { type MsixIdentity } from '../identity';
import { sharedMaps } from '../shared-maps';

const MSIX_ID = 0x11;

const PAGE = 4096;
const ENTRY_SIZE_BYTES = 16;

/** A place in a BAR. */
export interface BarPlace {
  readonly bar: number;
  readonly offset: number;
}

export const tableBytes = (vectors: number): number => vectors * ENTRY_SIZE_BYTES;

/** The pending bits are a multiple of 64 bits. */
export const pbaBytes = (vectors: number): number => Math.ceil(vectors / 64) * 8;

/** Where table and pending bits lie, with the defaults filled in. */
export function msixPlaces(msix: MsixIdentity): { table: BarPlace; pba: BarPlace } {
  const { bar, vectors, tableOffset = 0, pbaBar = bar } = msix;
  const behindTable = Math.ceil((tableOffset + tableBytes(vectors)) / PAGE) * PAGE;
  const { pbaOffset = pbaBar === bar ? behindTable : 0 } = msix;
  return { table: { bar, offset: tableOffset }, pba: { bar: pbaBar, offset: pbaOffset } };
}

/** A place as a register shows it: BAR in bits 2:0, offset in bits 31:3. */
export const encodePlace = ({ bar, offset }: BarPlace): number => (offset | bar) >>> 0;

export const msixCapability = sharedMaps((msix: MsixIdentity) => {
  const { table, pba } = msixPlaces(msix);
  return registerMap(
    {
      ID: { offset: 0x0, width: 8, access: 'ro', reset: MSIX_ID },
      NEXT: { offset: 0x1, width: 8, access: 'ro' },
      CONTROL: {
        offset: 0x2,
        width: 16,
        access: 'ro',
        fields: {
          TABLE_SIZE: { bits: [10, 0], reset: msix.vectors - 1, doc: 'Number of vectors minus one.' },
          FUNCTION_MASK: { bits: [14], access: 'rw', doc: 'All vectors are masked, regardless of the table.' },
          ENABLE: { bits: [15], access: 'rw', doc: 'Interrupts are sent as messages, not as INTx.' },
        },
      },
      TABLE: {
        offset: 0x4,
        access: 'ro',
        reset: encodePlace(table),
        doc: 'BAR of the table in bits 2:0, its offset in the BAR in bits 31:3.',
      },
      PBA: { offset: 0x8, access: 'ro', reset: encodePlace(pba), doc: 'Likewise of the pending bits.' },
    },
    { sizeBytes: 16 },
  );
});

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

/** The table: an entry for each vector. */
export const msixTable = sharedMaps((vectors: number) =>
  registerMap({ VECTOR: { offset: 0, stride: ENTRY_SIZE_BYTES, count: vectors, registers: TABLE_ENTRY } }),
);

/** The pending bits, in 32-bit words. */
export const msixPba = sharedMaps((vectors: number) =>
  registerMap({ PBA: { offset: 0, stride: 4, count: pbaBytes(vectors) / 4, registers: PENDING_WORD } }),
);
