/** Waiting matchers whose result nobody waits for. What the failed test shows: test/guest/harness-failures.test.ts. */
import { describe, it } from 'vitest';
import { ManualClock } from '../../../emulator/clock';
import { expect } from '.';
import { TestCard } from './test-card';

const newCard = () => new TestCard({ clock: new ManualClock() });

describe('a matcher that waits', () => {
  it.fails('fails the test that does not await it, also when what it waits for is so', () => {
    void expect(newCard()).toReachRegister('STATUS.DONE', 0);
  });

  it.fails('is not rejected into the void', () => {
    void expect(newCard()).toInterrupt(0, { timeoutMs: 1 });
  });

  it('may be awaited later, together with others, or by its own methods', async () => {
    const reached = expect(newCard()).toReachRegister('STATUS.DONE', 0);
    const never = expect(newCard()).toReadHost({ atLeastBytes: 1, timeoutMs: 1 });
    await Promise.all([expect(newCard()).not.toInterrupt(0, { timeoutMs: 1 }), reached]);
    expect(await never.catch(String)).toContain('it has read nothing');
  });
});
