/** Linux' own driver of the XDMA core, in other ways: more descriptors than it starts at once, errors. */
import { expect, it } from 'vitest';
import { expectMoved, startXdma } from './xdma';

it('xdma moves more than 4096 descriptors, for which it starts the engine again', async () => {
  const notices: string[] = [];
  await using xdma = await startXdma(
    { memoryBytes: 64 << 20 },
    { memoryMiB: 512, onNotice: (_, { text }) => notices.push(text) },
  );
  await expectMoved(xdma, 'MSI-X, 4883 descriptors', { pairs: 1, bytes: 60_000_000, rounds: 1 });
  expect(notices).toEqual([]);
});

it('xdma moves bytes behind an IOMMU', async () => {
  await using xdma = await startXdma({ h2cChannels: 2, c2hChannels: 2 }, { iommu: true });
  await expectMoved(xdma, 'MSI-X, behind an IOMMU', { pairs: 2, bytes: 1_000_000, rounds: 5 });
});

it('xdma reports an engine that has stopped at a descriptor without the magic number', async () => {
  await using xdma = await startXdma(
    {},
    { faults: [{ fault: 'dma-corrupted', channel: 'H2C0', role: 'descriptor', byte: 3, occurrence: 3 }] },
  );
  const log = await xdma.sh('echo "1 100000 3" > transfer; cat transfer; dmesg | grep "channel error"');
  expect(log).toMatch(/status register value: 0x10\b/);
});
