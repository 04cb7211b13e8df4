/** Whatever a driver writes: the I/OAT card is not at a loss, which would be a model error. */
import { expect, it } from 'vitest';
import { Random } from '../../../test/support/random-driver';
import { ManualClock } from '../../clock';
import { InProcessHost } from '../../host';
import { IoatCard } from './card';

it('takes 20000 writes at random', () => {
  const random = new Random(1);
  const clock = new ManualClock();
  const card = new IoatCard({ clock, channels: 2, link: { bytesPerSecond: 1e9 } });
  const host = new InProcessHost(card, { memoryIova: 0 });
  host.useInterrupts('msix', 2);
  const memory = host.memory.allocate(1 << 16);
  const all = card.registers.map.registers;
  const often = all.filter(({ path }) => /^CHANNEL\[0\]\.(CHAINADDR|DMACOUNT|CHANCMD)$/.test(path));
  const addresses = [0, 64, 4096, 20, 0xffff_ffff, 1 << 20];
  const entered = new Set<number>();
  for (let round = 0; round < 20_000; round++) {
    const at = random.below(1000) * 64;
    const control = (random.below(3) << 24) + random.below(64);
    [
      random.below(3000),
      control,
      random.below(1 << 14),
      0,
      random.below(1 << 14),
      0,
      random.below(1000) * 64,
      0,
    ].forEach((word, index) => memory.view.setUint32(at + index * 4, word, true));
    const registers = random.below(2) ? often : all;
    const { name, offset, width } = registers[random.below(registers.length)]!;
    const commands = [4, 16, 32, 12];
    const value =
      name === 'CHANCMD'
        ? commands[random.below(4)]!
        : random.below(3)
          ? random.below(256)
          : addresses[random.below(6)]!;
    if (width === 8) host.bar(0).write8(offset, value & 0xff);
    else if (width === 16) host.bar(0).write16(offset, value & 0xffff);
    else host.bar(0).write32(offset, value);
    // An error that is not cleared ends it.
    if (random.below(8) === 0) host.bar(0).write32(0x80 + 0x28, 0xffff_ffff);
    clock.advance(1000);
    entered.add(Number(card.registers.get('CHANNEL[0].CHANSTS.STATE')));
  }
  expect([...entered].sort()).toEqual([0, 1, 2, 3, 4]);
  card.close();
});
