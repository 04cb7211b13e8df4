/**
 * Layout of the Device Serial Number capability, in extended configuration space.
 *
 * Source: PCI Express Base Spec 5.0, 7.9.3 and 7.6.3 (header of an extended capability).
 */
import { registerMap } from '../../registers';
import { sharedMaps } from '../shared-maps';

const DEVICE_SERIAL_NUMBER_ID = 0x0003;

/** `next`: offset of the next extended capability, 0 for none. */
export const deviceSerialNumber = sharedMaps((next: number, serialNumber: bigint) =>
  registerMap(
    {
      HEADER: {
        offset: 0x0,
        access: 'ro',
        fields: {
          ID: { bits: [15, 0], reset: DEVICE_SERIAL_NUMBER_ID },
          VERSION: { bits: [19, 16], reset: 1 },
          NEXT: { bits: [31, 20], reset: next },
        },
      },
      SERIAL_LOW: { offset: 0x4, access: 'ro', reset: Number(serialNumber & 0xffff_ffffn) },
      SERIAL_HIGH: { offset: 0x8, access: 'ro', reset: Number(serialNumber >> 32n) },
    },
    { sizeBytes: 16 },
  ),
);
