import { execFileSync } from 'node:child_process';
import { expect, test } from 'ghostcard/vitest';
import BlinkCard from './blink-card';

test('the driver turns the red LED on, and leaves the green one as it is', async ({ guest }) => {
  execFileSync('make', ['-s', '-C', __dirname, 'blink']);
  const { card } = await guest.plug(BlinkCard, { driver: 'uio_pci_generic' });
  card.registers.set('LEDS.GREEN', 1);
  expect(await guest.run([`${__dirname}/blink`, 'red', 'on'])).toSucceed();
  expect(card).toHaveRegister('LEDS.RED', 1);
  expect(card).toHaveRegister('LEDS.GREEN', 1);
});
