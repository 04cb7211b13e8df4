/** What is refused at run time, for users who do not type-check. What the compiler refuses: harness-types.test.ts. */
import { expect, it } from 'vitest';
import { ReferenceCard } from '../emulator/cards/reference/index.ts';
import { guestTest } from './index.ts';
import { TwoPorts } from '../test/support/two-ports.ts';
import { factoryOf } from './plugged-card.ts';

it('an unknown option of guestTest is refused, with a similar one', () => {
  const options = { memroyMiB: 3 };
  expect(() => guestTest(options as object)).toThrow("guestTest has no option 'memroyMiB': did you mean 'memoryMiB'?");
});

it('an unknown option that is similar to none is refused, with all options', () => {
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
])('an invalid trace option is refused: %o', (trace, why) => {
  expect(() => guestTest({ trace } as object)).toThrow(why);
});

it('a card in place of its class is refused', () => {
  expect(() => factoryOf(new ReferenceCard() as never)).toThrow(
    /^guest\.plug takes a card's class, or a function that makes a card, not a card: .* guest\.plug\(MyCard\)/,
  );
});

it.each([
  ['its class', TwoPorts],
  ['an instance', new TwoPorts()],
])('a card with several functions is refused with the way to plug it in: %s', (_what, source) => {
  expect(() => factoryOf(source as never)).toThrow(
    /^guest\.plug takes a card with one function, and a MultifunctionCard has several\. .* makeMultifunction: /,
  );
});
