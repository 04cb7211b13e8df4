/**
 * Extended capabilities of a card that QEMU leaves out of the chain that the guest sees.
 *
 * Source: QEMU 11.1, hw/vfio/pci.c, vfio_add_ext_cap; PCI Express Base Spec 5.0, 7.6.3 (header).
 */
import { type PciCard } from '../../emulator/pci';

const EXTENDED_FROM = 0x100;
const HIDDEN: Readonly<Record<number, string>> = { 0x0e: 'ARI', 0x10: 'SR-IOV' };

/** A sentence for each. */
export function hiddenCapabilities(card: PciCard): string[] {
  return card.inspection.configStructures.flatMap(({ name, offset, registers }) => {
    if (offset < EXTENDED_FROM) return [];
    const header = registers.map.registers.find(({ path }) => path === 'HEADER')?.reset ?? 0n;
    const kind = HIDDEN[Number(header & 0xffffn)];
    if (kind === undefined) return [];
    return [
      `the guest does not see the capability ${name} at 0x${offset.toString(16)} (${kind}): QEMU leaves it out, see ` +
        'docs/limits.md#extended-capabilities-that-qemu-hides',
    ];
  });
}
