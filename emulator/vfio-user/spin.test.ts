import { expect, test } from 'vitest';
import { SpinPolicy } from './spin';

const limits = { minUs: 10, maxUs: 200 };

test('begins by waiting as long as it may', () => {
  expect(new SpinPolicy(limits).budgetUs).toBe(200);
});

test('a client that comes rarely is waited for less and less, down to a minimum', () => {
  const policy = new SpinPolicy(limits);
  const budgets = Array.from({ length: 7 }, () => (policy.woken(5000), policy.budgetUs));
  expect(budgets).toEqual([100, 50, 25, 12.5, 10, 10, 10]);
});

test('a pause that could have been waited out doubles into the next wait, within the limit', () => {
  const policy = new SpinPolicy(limits);
  for (let i = 0; i < 5; i++) policy.woken(5000);
  policy.woken(40);
  expect(policy.budgetUs).toBe(80);
  policy.woken(30);
  expect(policy.budgetUs).toBe(80);
  policy.woken(150);
  expect(policy.budgetUs).toBe(200);
});
