/** The driver in a guest with a bells card: built, loaded, used, and taken away again. */
import { buildModules, loadModule, unloadModule } from 'ghostcard/guest';
import { expect, guestTest } from 'ghostcard/vitest';
import { beforeAll } from 'vitest';
import BellsCard from './bells-card';

const test = guestTest({ notices: { strict: true } });

let bells: string;
beforeAll(async () => {
  [bells = ''] = await buildModules(__dirname);
}, 900_000);

test('the driver finds the card and counts the interrupts of each vector', async ({ guest }) => {
  await loadModule(guest, bells);
  const { card, pciAddress } = await guest.plug(BellsCard, { driver: 'bells' });
  const device = `/sys/bus/pci/devices/${pciAddress}`;
  for (const bell of [0, 1, 2, 3, 2]) {
    expect(await guest.run(['sh', '-c', `echo ${bell} > ${device}/ring`])).toSucceed();
  }
  expect(card).toHaveInterrupted(2, { times: 2 });
  expect(await guest.run(['cat', `${device}/heard`])).toPrint('1 1 2 1\n');
  expect(await guest.run(['cat', '/proc/interrupts'])).toPrint(/ 2 .*MSI.* bell-2$/m);
});

test('an unloaded driver leaves nothing of itself at the card', async ({ guest }) => {
  const { name } = await loadModule(guest, bells);
  const { pciAddress } = await guest.plug(BellsCard, { driver: 'bells' });
  await unloadModule(guest, name);
  const { stdout } = await guest.run(['ls', `/sys/bus/pci/devices/${pciAddress}`]);
  expect(stdout.toString()).not.toMatch(/^(driver|msi_irqs|ring|heard)$/m);
});

test('a card that says it is another is refused, and the error says why', async ({ guest }) => {
  await loadModule(guest, bells);
  const plugging = guest.plug((environment) => new BellsCard(environment, 'CAKE'), { driver: 'bells' });
  await expect(plugging).rejects.toThrow('ID is 0x454b4143 instead of 0x4c4c4542');
});

test('a bell that is not heard fails the write, and the kernel log says why', async ({ guest }) => {
  class SilentCard extends BellsCard {
    protected override ring(): void {}
  }
  await loadModule(guest, bells, { parameters: { timeout_ms: 50 } });
  const { pciAddress } = await guest.plug(SilentCard, { driver: 'bells' });
  expect(await guest.run(['sh', '-c', `echo 1 > /sys/bus/pci/devices/${pciAddress}/ring`])).toExitWith(1);
  expect(await guest.run(['dmesg'])).toPrint('bell 1 was rung, and no interrupt came within 50 ms');
});
