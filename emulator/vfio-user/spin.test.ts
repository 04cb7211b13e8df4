import { expect, test } from 'vitest';
import { SpinPolicy } from './spin';

const limits = { minUs: 10, maxUs: 200 };

test('the first wait has the maximum length', () => {
  expect(new SpinPolicy(limits).budgetUs).toBe(200);
});

test('long pauses shorten the wait, down to the minimum', () => {
  const policy = new SpinPolicy(limits);
  const budgets = Array.from({ length: 7 }, () => (policy.woken(5000), policy.budgetUs));
  expect(budgets).toEqual([100, 50, 25, 12.5, 10, 10, 10]);
});

test('a short pause sets the next wait to twice its length, within the limits', () => {
  const policy = new SpinPolicy(limits);
  for (let i = 0; i < 5; i++) policy.woken(5000);
  policy.woken(40);
  expect(policy.budgetUs).toBe(80);
  policy.woken(30);
  expect(policy.budgetUs).toBe(80);
  policy.woken(150);
  expect(policy.budgetUs).toBe(200);
});
