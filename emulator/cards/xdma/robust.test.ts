/** Whatever a driver writes: the XDMA card is not at a loss, which would be a model error. */
import { expect, it } from 'vitest';
import { Random } from '../../../test/support/random-driver';
import { ManualClock } from '../../clock';
import { InProcessHost } from '../../host';
import { XdmaCard } from './card';
import { XDMA_MAGIC } from './layout';

it.each([false, true])('takes 20000 writes at random, streaming: %s', (streaming) => {
  const random = new Random(streaming ? 1 : 2);
  const clock = new ManualClock();
  const card = new XdmaCard({ clock, streaming, h2cChannels: 2, c2hChannels: 2, link: { bytesPerSecond: 1e9 } });
  const host = new InProcessHost(card, { memoryIova: 0 });
  const memory = host.memory.allocate(1 << 16);
  const offsets = card.registers.map.registers.map(({ offset }) => offset);
  const values = [0, 1, 2 ** 32 - 1, 0x04ff_fe7f, 32, 4064, 8000, 0xad4b_0102];
  let moved = 0;
  for (let round = 0; round < 20_000; round++) {
    const at = random.below(2000) * 32;
    const control = XDMA_MAGIC * 2 ** 16 + random.below(64) * 256 + random.below(32);
    [control, random.below(3000), at, 0, random.below(1 << 14), 0, random.below(2048) * 32, 0].forEach((word, index) =>
      memory.view.setUint32(at + index * 4, word, true),
    );
    host.bar(0).write32(offsets[random.below(offsets.length)]!, values[random.below(values.length)]!);
    clock.advance(1000);
    moved += host.registers(0, card.registers.map).read('H2C[0].COMPLETED_COUNT') > 0 ? 1 : 0;
  }
  expect(moved).toBeGreaterThan(0);
  card.close();
});
