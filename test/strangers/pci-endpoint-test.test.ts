/** Linux' own driver and test program for PCI endpoints: the quick one. Others: pci-endpoint-test.full.test.ts. */
import { expect, it } from 'vitest';
import { endpointTests, expectEndpointTests, startEndpointTest } from './pci-endpoint-test';

it('pci_endpoint_test finds BARs, transfers and every interrupt right, behind an IOMMU, which grants 32 MSI vectors', async () => {
  const notices: string[] = [];
  const onNotice = (_: string, { text }: { text: string }) => void notices.push(text);
  await using endpoint = await startEndpointTest({ mapMemory: true }, { iommu: true, onNotice });
  await expectEndpointTests(endpoint, 'IOMMU', endpointTests(32, 32));
  expect(notices).toEqual([]);
});
