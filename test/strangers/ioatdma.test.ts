/** Linux' own driver for I/OAT, with Linux' own test of DMA engines: the quick one. Others: ioatdma.full.test.ts. */
import { expect, it } from 'vitest';
import { expectTransfers, interrupts, startIoatdma } from './ioatdma';

it('ioatdma transfers on four channels with MSI-X, and dmatest finds no failure', async () => {
  const notices: string[] = [];
  await using rig = await startIoatdma({ channels: 4 }, { onNotice: (_, { text }) => notices.push(text) });
  await expectTransfers(rig, 'MSI-X, four channels', 8, { iterations: 100, threadsPerChannel: 2 });
  const counts = await interrupts(rig);
  expect(counts.map(({ name, count }) => [name, count > 0])).toEqual(Array(4).fill(['ioat-msix', true]));
  expect(notices).toEqual([]);
});
