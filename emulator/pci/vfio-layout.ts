/**
 * How VFIO numbers a PCI function's regions and interrupts: the meaning of the indexes in the device interface, and which
 * requests are refused.
 *
 * Source: Linux include/uapi/linux/vfio.h, enums VFIO_PCI_*_REGION_INDEX and VFIO_PCI_*_IRQ_INDEX.
 */
import { DeviceError } from '../device';
import { AddressMapError } from '../memory';

/** Regions 0 to 5 are the BARs; a 64-bit BAR uses the lower of its two slots. */
export const Region = { BAR0: 0, BAR1: 1, BAR2: 2, BAR3: 3, BAR4: 4, BAR5: 5, ROM: 6, CONFIG: 7, VGA: 8 } as const;
export const REGION_COUNT = 9;
export const BAR_COUNT = 6;

/** As traces and messages call it. */
export const regionName = (region: number): string =>
  region === Region.CONFIG ? 'config' : region === Region.ROM ? 'ROM' : `BAR${region}`;

export const Irq = { INTX: 0, MSI: 1, MSIX: 2, ERROR: 3, REQUEST: 4 } as const;

/** PCI Express Base Spec 5.0, 7.2.2: PCI-compatible plus extended configuration space of one function. */
export const CONFIG_SIZE_BYTES = 4096;

/** Errno values with which the device refuses a request (Linux asm-generic/errno-base.h). */
const EEXIST = 17;
export const EINVAL = 22;

export function checkAccess(region: number, offset: number, accessBytes: number, sizeBytes: number): void {
  if (offset >= 0 && offset + accessBytes <= sizeBytes) return;
  const what =
    region < BAR_COUNT ? `BAR ${region}` : region === Region.ROM ? 'the expansion ROM' : 'configuration space';
  const where = `offset ${offset < 0 ? offset : `0x${offset.toString(16)}`} of ${what}`;
  throw new DeviceError(EINVAL, `access of ${accessBytes} bytes at ${where}: it has ${sizeBytes} bytes`);
}

export function checkRegion(region: number): void {
  if (Number.isInteger(region) && region >= 0 && region < REGION_COUNT) return;
  throw new DeviceError(EINVAL, `access to region ${region}: valid regions are 0 to ${REGION_COUNT - 1}`);
}

/** Turns an error of the address map into the error that the client receives, with the errno of the specification. */
export function asDeviceError<T>(act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (error instanceof AddressMapError)
      throw new DeviceError(error.kind === 'exists' ? EEXIST : EINVAL, error.message);
    throw error;
  }
}
