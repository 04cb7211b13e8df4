/** The corpus, without a guest: its changes fit the correct drivers. */
import { describe, expect, it } from 'vitest';
import { readFileSync } from 'node:fs';
import { BUGS } from './bugs';
import { lineOf, sourceOf, variantOf } from './variants';
import { planOf, verdictOf } from './verdicts';

describe.each(BUGS)('$name', (bug) => {
  it('changes a few lines of the correct driver, and has the line that a report should name', () => {
    const correct = new Set(readFileSync(sourceOf(bug.driver), 'utf8').split('\n'));
    const changed = variantOf(bug)
      .split('\n')
      .filter((line) => !correct.has(line));
    expect(changed.length).toBeLessThan(15);
    expect(lineOf(bug)).toBeGreaterThan(1);
  });

  it('is run with its fault, if it needs one', () => {
    expect(planOf(bug).some(({ run }) => run.name === 'fault')).toBe(bug.fault !== undefined);
  });
});

it('no two bugs have the same name, and there are at least 30', () => {
  expect(new Set(BUGS.map(({ name }) => name)).size).toBe(BUGS.length);
  expect(BUGS.length).toBeGreaterThanOrEqual(30);
});

describe('a bug is', () => {
  const quiet = ['plain', []] as const;
  const sign = { by: 'finding still-running', text: 'H2C0 is still running' };

  it('found by name if a message of any run says what is wrong', () => {
    const shown = [quiet, ['IOMMU', [{ by: 'exit code 1', text: 'wrong bytes' }]], ['slow card', [sign]]] as const;
    expect(verdictOf({ named: /still running/ }, shown)).toEqual({
      outcome: 'named',
      runs: ['slow card'],
      of: 3,
      sign,
    });
  });

  it('found by its effect if there are only other messages', () => {
    expect(verdictOf({}, [quiet, ['slow card', [sign]]])).toEqual({
      outcome: 'effect',
      runs: ['slow card'],
      of: 2,
      sign,
    });
  });

  it('not found if no run shows anything', () => {
    expect(verdictOf({ named: /running/ }, [quiet])).toEqual({ outcome: 'not found', runs: [], of: 1 });
  });
});
