/** Linux' own driver of the XDMA core: the quick test. Others: xdma.full.test.ts. */
import { expect, it } from 'vitest';
import { expectMoved, startXdma } from './xdma';

it('xdma moves bytes on all channels at once, and has the interrupts of the design', async () => {
  const notices: string[] = [];
  await using xdma = await startXdma(
    { h2cChannels: 4, c2hChannels: 4 },
    { onNotice: (_, { text }) => notices.push(text) },
  );
  await expectMoved(xdma, 'MSI-X, four channels each way', { pairs: 4, bytes: 1_000_000, rounds: 10 });
  const counts = await xdma.sh('cat /proc/interrupts');
  expect([...counts.matchAll(/^ *\d+: +(\d+) .* xdma-.2.-channel$/gm)].map(([, count]) => count)).toEqual(
    Array(8).fill('10'),
  );

  for (let time = 1; time <= 3; time++) {
    xdma.card.setUserInterrupt(0, true);
    const seen = `for i in $(seq 100); do [ "$(cat user_interrupts)" = ${time} ] && break; usleep 20000; done`;
    expect(await xdma.sh(`${seen}; cat user_interrupts`)).toBe(`${time}\n`);
  }
  expect(notices).toEqual([]);
});
