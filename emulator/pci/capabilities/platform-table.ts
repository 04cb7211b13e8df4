/**
 * Layout of the vendor-specific capability with which the guest's kernel module finds the platform table.
 *
 * Source: PCI Local Bus Spec 3.0, appendix H (capability id 09h: the third byte is the length, the rest vendor-defined).
 */
import { registerMap } from '../../registers';
import { sharedMaps } from '../shared-maps';

const VENDOR_SPECIFIC_ID = 0x09;
/** "GCPT", as at the start of the table: it distinguishes this capability from those of other vendors. */
const SIGNATURE = 0x5450_4347;

export const CAPABILITY = {
  sizeBytes: 16,
  signatureOffset: 0x4,
  locationOffset: 0x8,
  barMask: 0x7,
  tableBytesOffset: 0xc,
} as const;

/** LOCATION is computed when it is read. */
export const platformTableCapability = sharedMaps((tableBytes: number) =>
  registerMap(
    {
      ID: { offset: 0x0, width: 8, access: 'ro', reset: VENDOR_SPECIFIC_ID },
      NEXT: { offset: 0x1, width: 8, access: 'ro' },
      LENGTH: { offset: 0x2, width: 8, access: 'ro', reset: CAPABILITY.sizeBytes },
      SIGNATURE: { offset: CAPABILITY.signatureOffset, access: 'ro', reset: SIGNATURE },
      LOCATION: {
        offset: CAPABILITY.locationOffset,
        access: 'ro',
        doc: 'BAR of the table in bits 2:0, its offset in the BAR in bits 31:3, as in the MSI-X capability.',
      },
      TABLE_BYTES: { offset: CAPABILITY.tableBytesOffset, access: 'ro', reset: tableBytes },
    },
    { sizeBytes: CAPABILITY.sizeBytes },
  ),
);
