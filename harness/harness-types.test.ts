/** Wrong uses of the fixtures that the compiler refuses; none of it is run. Of the matchers: matchers/matchers.test.ts. */
import { expectTypeOf, it } from 'vitest';
import { ReferenceCard } from '../emulator/cards/reference/index.ts';
import { expect, guestTest, type PluggedCard, type TestGuest } from './index.ts';

async function refused(guest: TestGuest): Promise<void> {
  // @ts-expect-error -- misspelt
  guestTest({ scop: 'file' });
  // @ts-expect-error -- no such scope
  guestTest({ scope: 'worker' });
  // @ts-expect-error -- a number
  guestTest({ memoryMiB: '512' });
  // @ts-expect-error -- a card is a class or a function
  await guest.plug('reference');
  // @ts-expect-error -- misspelt
  const { card } = await guest.plug(ReferenceCard, { drivers: 'vfio-pci' });
  // @ts-expect-error -- no such register of this card
  expect(card).toHaveRegister('SCRATCHED', 0);
  // @ts-expect-error -- a command is a list of words
  await guest.run('ls -l');
  // @ts-expect-error -- misspelt
  await guest.run(['ls'], { timeoutMS: 1 });
}

it('knows the class of a card that is plugged in, and refuses wrong options', () => {
  expectTypeOf(refused).returns.resolves.toBeVoid();
  const plug = (guest: TestGuest) => guest.plug(ReferenceCard);
  expectTypeOf(plug).returns.resolves.toEqualTypeOf<PluggedCard<ReferenceCard>>();
});

it('gives a test the guest and the context of Vitest', () => {
  type Context = Parameters<Parameters<ReturnType<typeof guestTest>['beforeEach']>[0]>[0];
  expectTypeOf<Context['guest']>().toEqualTypeOf<TestGuest>();
  expectTypeOf<Context['signal']>().toEqualTypeOf<AbortSignal>();
});
