/** Waiting matchers that are not awaited. What the failed test shows: test/guest/harness-failures.test.ts. */
import { describe, expect as plainExpect, it } from 'vitest';
import { ManualClock } from '../../emulator/clock/index.ts';
import { expect } from './index.ts';
import { mustBeAwaited } from './awaited.ts';
import { TestCard } from '../../test/support/matcher-card.ts';

const newCard = () => new TestCard({ clock: new ManualClock() });

/** A test that calls a matcher, up to its end: `finish` throws what Vitest then fails it with. */
function testOf(matcher: () => Promise<string>, state: 'pass' | 'fail' = 'pass') {
  let finish: () => void = () => plainExpect.unreachable('the matcher has not registered');
  const onTestFinished = (listener: (context: { task: { result: { state: string } } }) => void) =>
    void (finish = () => listener({ task: { result: { state } } }));
  const result = mustBeAwaited('toHappen', matcher).call({ task: { context: { onTestFinished } } } as never);
  // As Vitest does: it looks at the result itself, and gives the test what it got.
  return { result: result.then((value) => value), finish: () => finish() };
}

describe('a matcher that waits', () => {
  it('fails a test that does not await it, even if its condition is met', () => {
    plainExpect(testOf(() => Promise.resolve('so')).finish).toThrow(/toHappen was not awaited: write 'await expect/);
  });

  it('causes no unhandled rejection when not awaited: the test fails once', async () => {
    const rejected = Promise.reject<string>(new Error('not so'));
    plainExpect(testOf(() => rejected).finish).toThrow(/toHappen was not awaited/);
    await plainExpect(rejected).rejects.toThrow('not so');
  });

  it('does not fail a test that awaits it, or that has failed already', async () => {
    const waiting = testOf(() => Promise.resolve('so'));
    plainExpect(await waiting.result).toBe('so');
    waiting.finish();
    testOf(() => Promise.resolve('so'), 'fail').finish();
  });

  it('may be awaited later, together with others, or by its own methods', async () => {
    const reached = expect(newCard()).toReachRegister('STATUS.DONE', 0);
    const never = expect(newCard()).toReadHost({ atLeastBytes: 1, timeoutMs: 1 });
    await Promise.all([expect(newCard()).not.toInterrupt(0, { timeoutMs: 1 }), reached]);
    expect(await never.catch(String)).toContain('it has read nothing');
  });
});
