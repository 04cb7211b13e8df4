/** docs/conformance.md is whole: each clause is held by tests or left out with a reason. */
import { expect, it } from 'vitest';
import { SPECIFICATIONS } from '../generate/clauses';
import { citations } from '../generate/conformance';

const clauses = SPECIFICATIONS.flatMap(({ cite, clauses }) =>
  Object.entries(clauses).map(([clause, demand]) => ({
    clause: `${cite} ${clause}`,
    isLeftOut: typeof demand !== 'string',
  })),
);
const cited = new Set(citations().map(({ clause }) => clause));

it('every clause that is not left out is held by a test, and none that is left out', () => {
  const wrong = clauses.filter(({ clause, isLeftOut }) => cited.has(clause) === isLeftOut);
  expect(wrong.map(({ clause }) => clause)).toEqual([]);
});

it('tests cite only clauses that are listed', () => {
  const listed = new Set(clauses.map(({ clause }) => clause));
  expect(citations().filter(({ clause }) => !listed.has(clause))).toEqual([]);
});
