/** Linux' own driver of AXI DMA with a core that differs from its device tree. */
import { expect, it } from 'vitest';
import { startXilinxDma } from './axi-dma';

it('xilinx_dma loses data where the length register is narrower than the device tree says, and reports a length of 0', async () => {
  await using xilinx = await startXilinxDma({ lengthBits: 14 }, 23);
  expect(await xilinx.loop(3, 16_383)).toBe('');
  expect(await xilinx.loop(1, 20_000)).toContain('Bad message');
  expect(await xilinx.loop(1, 16_384)).toContain('timed out');
  expect(await xilinx.sh('dmesg | grep "has errors"')).toMatch(/Channel .* has errors 10, /);
});

it('xilinx_dma moves packets through a slow core', async () => {
  const link = { bytesPerSecond: 50e6, completionLatencyNs: 200e3 };
  await using xilinx = await startXilinxDma({ link }, 26);
  expect(await xilinx.loop(10, 65_536)).toBe('');
});
