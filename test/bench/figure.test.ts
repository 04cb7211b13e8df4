import { describe, expect, it } from 'vitest';
import { figure, type FigureDefinition, isMet, spread } from './figure';

const definition: FigureDefinition = { group: 'x', name: 'something', unit: 'us', floorName: 'the least' };

describe('the spread over rounds', () => {
  it('is the smallest, middle and largest value, in any order of values', () => {
    expect(spread([3, 100, 1])).toEqual({ min: 1, median: 3, max: 100 });
  });

  it('has the mean of the middle two of an even number of values', () => {
    expect(spread([4, 1, 2, 100])).toEqual({ min: 1, median: 3, max: 100 });
  });

  it('is one value three times for one round', () => {
    expect(spread([7])).toEqual({ min: 7, median: 7, max: 7 });
  });

  it('refuses an empty list of rounds', () => {
    expect(() => spread([])).toThrow('a benchmark needs at least one round');
  });
});

describe('a figure', () => {
  it('relates each round to the floor of that round, so that a slow moment cancels out', () => {
    const { ratio, subject, floor } = figure(definition, [
      { subject: 5, floor: 10 },
      { subject: 50, floor: 100 },
      { subject: 6, floor: 10 },
    ]);
    expect(ratio).toEqual({ min: 0.5, median: 0.5, max: 0.6 });
    expect(subject).toEqual({ min: 5, median: 6, max: 50 });
    expect(floor).toEqual({ min: 10, median: 10, max: 100 });
  });

  it('meets a goal by its median ratio', () => {
    const rounds = [
      { subject: 9, floor: 10 },
      { subject: 10, floor: 10 },
      { subject: 30, floor: 10 },
    ];
    expect(figure({ ...definition, goal: { kind: 'at-most', ratio: 1 } }, rounds).met).toBe(true);
    expect(figure({ ...definition, goal: { kind: 'at-least', ratio: 1.1 } }, rounds).met).toBe(false);
  });

  it('has no verdict without a goal', () => {
    expect(figure(definition, [{ subject: 1, floor: 1 }])).not.toHaveProperty('met');
  });

  it('refuses a floor of 0', () => {
    expect(() => figure(definition, [{ subject: 1, floor: 0 }])).toThrow('something: a floor of 0');
  });
});

it('a goal is met at exactly its value', () => {
  expect(isMet({ kind: 'at-most', ratio: 0.6 }, 0.6)).toBe(true);
  expect(isMet({ kind: 'at-least', ratio: 0.8 }, 0.8)).toBe(true);
});
