/** Linux' own driver and test program for PCI endpoints, beyond the quick test: other ways, and cards that lie. */
import { expect, it } from 'vitest';
import { endpointTests, expectEndpointTests, startEndpointTest } from './pci-endpoint-test';

it('pci_endpoint_test passes without an IOMMU, by the DMA engine, with the one MSI vector that is granted then', async () => {
  await using endpoint = await startEndpointTest({ mapMemory: true });
  await expectEndpointTests(endpoint, 'DMA engine', endpointTests(1, 32, ' -d'));
  expect(await endpoint.pcitest(['-m 2'])).toEqual(['MSI2: NOT OKAY']);
});

it('pci_endpoint_test notices a length counter of 14 bits, vectors that are not there, and MSI-X that is not', async () => {
  await using endpoint = await startEndpointTest({ lengthBits: 14, msixVectors: 0 });
  const tests = ['-i 1', '-w -s 16383', '-w -s 16385', '-c -s 16385', '-i 2', '-i 0', '-l', '-r -s 1024'];
  expect(await endpoint.pcitest(tests)).toEqual([
    ...['SET IRQ TYPE TO MSI: OKAY', 'WRITE ( 16383 bytes): OKAY', 'WRITE ( 16385 bytes): NOT OKAY'],
    ...['COPY ( 16385 bytes): NOT OKAY', 'SET IRQ TYPE TO MSI-X: NOT OKAY'],
    ...['SET IRQ TYPE TO LEGACY: OKAY', 'LEGACY IRQ: OKAY', 'READ ( 1024 bytes): OKAY'],
  ]);
});

it('pci_endpoint_test reports transfers during which an access fails, and goes on', async () => {
  const faults = [{ fault: 'dma-failed', channel: 'CPU', reason: 'completer-abort', occurrence: 2 }] as const;
  await using endpoint = await startEndpointTest({}, {}, faults);
  const tests = ['-i 1', '-w -s 1024', '-w -s 1024', '-c -s 1024'];
  expect((await endpoint.pcitest(tests)).map((line) => line.replace(/.*: /, ''))).toEqual([
    ...['OKAY', 'OKAY', 'NOT OKAY', 'OKAY'],
  ]);
});
