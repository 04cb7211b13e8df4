/** What is refused at run time, for those who do not run the compiler. What the compiler refuses: harness-types.test.ts. */
import { expect, it } from 'vitest';
import { ReferenceCard } from '../emulator/cards/reference';
import { guestTest } from '.';
import { factoryOf } from './plugged-card';

it('an option of guestTest that does not exist, with the one that is meant', () => {
  const options = { memroyMiB: 3 };
  expect(() => guestTest(options as object)).toThrow("guestTest has no option 'memroyMiB': did you mean 'memoryMiB'?");
});

it('one that is like no other, with those that there are', () => {
  const options = { colour: 'red' };
  expect(() => guestTest(options as object)).toThrow(
    /no option 'colour': its options are scope, start, hostRoot, .*artifacts, trace$/,
  );
});

it.each([
  ['always, of course', "guestTest: trace is 'always, of course'; it can be 'on-failure', 'always', 'never'"],
  [{ payload: 'hash' }, "The option 'trace' of guestTest has no option 'payload': did you mean 'payloads'?"],
  [{ payloads: 'some' }, "guestTest: trace.payloads is 'some'; it can be 'full', 'hash', 'none'"],
  [{ ringMiB: -1 }, 'guestTest: trace.ringMiB is -1; it must be above 0'],
])('a way to record that there is not: %o', (trace, why) => {
  expect(() => guestTest({ trace } as object)).toThrow(why);
});

it('a card that has been made, in place of its class', () => {
  expect(() => factoryOf(new ReferenceCard() as never)).toThrow(
    /^guest\.plug takes a card's class, or a function that makes a card, not one that has been made: .* guest\.plug\(MyCard\)/,
  );
});
