/** DPDK's own driver for I/OAT, with DPDK's own test of DMA devices: the quick one. Others: dpdk.full.test.ts. */
import { it } from 'vitest';
import { expectDmadevAutotest } from './dpdk';

it("DPDK's dmadev_autotest passes on vfio-pci behind an IOMMU", async () => {
  await expectDmadevAutotest({ way: '`vfio-pci` behind an IOMMU', driver: 'vfio-pci', iommu: true });
});
