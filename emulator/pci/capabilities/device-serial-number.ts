/**
 * Layout of the Device Serial Number capability, in extended configuration space.
 *
 * Source: PCI Express Base Spec 5.0, 7.9.3 and 7.6.3 (header of an extended capability).
 */
import { registerMap } from '../../registers';
import { extendedHeader } from './custom';
import { sharedMaps } from '../shared-maps';

const DEVICE_SERIAL_NUMBER_ID = 0x0003;

export const deviceSerialNumber = sharedMaps((serialNumber: bigint) =>
  registerMap(
    {
      HEADER: extendedHeader(DEVICE_SERIAL_NUMBER_ID, 1),
      SERIAL_LOW: { offset: 0x4, access: 'ro', reset: Number(serialNumber & 0xffff_ffffn) },
      SERIAL_HIGH: { offset: 0x8, access: 'ro', reset: Number(serialNumber >> 32n) },
    },
    { sizeBytes: 16 },
  ),
);
