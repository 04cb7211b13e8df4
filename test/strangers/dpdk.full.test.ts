/** DPDK's driver for I/OAT on all other ways to the card, and recovering from errors. */
import { it } from 'vitest';
import { type DpdkWay, expectDmadevAutotest } from './dpdk';

const WAYS: readonly DpdkWay[] = [
  { way: '`uio_pci_generic`', driver: 'uio_pci_generic' },
  { way: '`vfio-pci` without IOMMU', driver: 'vfio-pci' },
  {
    way: '`vfio-pci` behind an IOMMU, `version=3.4`',
    ...{ driver: 'vfio-pci', iommu: true, card: { version: 3.4 }, errorHandling: true },
    // The test has a race of its own: it takes it that no descriptor is done when it looks right after a recovery.
    faults: [{ fault: 'dma-delayed', role: 'descriptor', delayNs: 2e6, occurrence: 'all' }],
  },
];

it.each(WAYS)("DPDK's dmadev_autotest passes: $way", expectDmadevAutotest);
