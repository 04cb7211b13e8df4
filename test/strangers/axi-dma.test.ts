/** Linux' own driver of AXI DMA: the quick test. Another: axi-dma.full.test.ts. */
import { expect, it } from 'vitest';
import { startXilinxDma } from './axi-dma';
import { expectProven } from './proven';

it('xilinx_dma moves packets of one and of several descriptors, with device-tree nodes made by a module', async () => {
  const notices: string[] = [];
  await using xilinx = await startXilinxDma({ lengthBits: 14 }, 14, ({ text }) => notices.push(text));
  const sizes = [1, 4096, 16_383, 40_000];
  for (const bytes of sizes) expect(await xilinx.loop(25, bytes)).toBe('');
  expect(await xilinx.sh('dmesg | grep -E "WARNING|has errors"')).toBe('');
  expect([xilinx.rig.modelErrors, notices]).toEqual([[], []]);
  const row = { card: 'axi-dma', driver: '`xilinx_dma`, a client of ours', version: 'Linux 6.1' };
  expectProven({
    ...row,
    way: 'arm64, length register of 14 bits',
    passed: `${25 * sizes.length} packets there and back`,
  });
});
