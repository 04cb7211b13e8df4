import { expect, it } from 'vitest';
import { callerOf, withCaller, withFrames } from './caller.ts';

const frames = (error: unknown): string[] =>
  ((error as Error).stack ?? '').split('\n').filter((line) => /^ {4}at /.test(line));

/** Like an answer of the guest that arrives later: the stack has nothing of the test. */
const refused = (): Promise<never> =>
  new Promise((_, reject) => setImmediate(() => reject(new Error('refused\nfor good'))));

it('an error ends with the frames of the caller, after its whole message', async () => {
  const ask = (): Promise<never> => withCaller(ask, refused);
  async function userOfIt(): Promise<void> {
    await ask();
  }
  const error = await userOfIt().catch((caught: Error) => caught);
  expect(error?.stack).toMatch(/^Error: refused\nfor good\n {4}at userOfIt \(.*caller\.test\.ts:\d+:\d+\)\n/);
});

it('frames of the user, such as of a card, come first; those of ghostcard and of Node are removed', () => {
  const error = new Error('no');
  error.stack = `Error: no\n    at Card (/home/me/card.ts:1:2)\n    at Rig.plug (${__filename}:3:4)\n    at emit (node:events:5:6)`;
  expect(frames(withFrames(['    at mine (/home/me/my.test.ts:7:8)'], error))).toEqual([
    '    at Card (/home/me/card.ts:1:2)',
    '    at mine (/home/me/my.test.ts:7:8)',
  ]);
});

it('an error that gets the frames of a caller twice has them once', () => {
  function entry() {
    return callerOf(entry);
  }
  const caller = entry();
  const error = withFrames(caller, withFrames(caller, new Error('no')));
  expect(frames(error)).toEqual(caller);
});

it('a thrown value that is not an Error is left as it is', () => {
  expect(withFrames([], 'a word')).toBe('a word');
});
