import { expect, it } from 'vitest';
import { callerOf, tellingCaller, toldBy } from './caller';

const frames = (error: unknown): string[] =>
  ((error as Error).stack ?? '').split('\n').filter((line) => /^ {4}at /.test(line));

/** As an answer of the guest that arrives later: nothing of the test is in the stack. */
const refused = (): Promise<never> =>
  new Promise((_, reject) => setImmediate(() => reject(new Error('refused\nfor good'))));

it('an error ends with the frames of who has asked, the message in one piece before them', async () => {
  const ask = (): Promise<never> => tellingCaller(ask, refused);
  async function userOfIt(): Promise<void> {
    await ask();
  }
  const error = await userOfIt().catch((caught: Error) => caught);
  expect(error?.stack).toMatch(/^Error: refused\nfor good\n {4}at userOfIt \(.*caller\.test\.ts:\d+:\d+\)\n/);
});

it('frames of the user, such as of a card, come first; those of ghostcard and of Node go', () => {
  const error = new Error('no');
  error.stack = `Error: no\n    at Card (/home/me/card.ts:1:2)\n    at Rig.plug (${__filename}:3:4)\n    at emit (node:events:5:6)`;
  expect(frames(toldBy(['    at mine (/home/me/my.test.ts:7:8)'], error))).toEqual([
    '    at Card (/home/me/card.ts:1:2)',
    '    at mine (/home/me/my.test.ts:7:8)',
  ]);
});

it('the same error told twice has the later caller at its end once', () => {
  function entry() {
    return callerOf(entry);
  }
  const caller = entry();
  const error = toldBy(caller, toldBy(caller, new Error('no')));
  expect(frames(error)).toEqual(caller);
});

it('what is no error is left as it is', () => {
  expect(toldBy([], 'a word')).toBe('a word');
});
