import { expect, it } from 'vitest';
import { allowedCpus, parseCpuList } from './machine';

it('a list of processors has single numbers and ranges', () => {
  expect(parseCpuList('0')).toEqual([0]);
  expect(parseCpuList('0-2,5,7-8')).toEqual([0, 1, 2, 5, 7, 8]);
});

it('this process may run on at least one processor', () => {
  expect(allowedCpus().length).toBeGreaterThan(0);
});
