import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { ENTRY_POINTS, interfaceReport, reportPath } from '../generate/interface';

it.each(Object.keys(ENTRY_POINTS) as (keyof typeof ENTRY_POINTS)[])(
  'the interface of %s is what its report says: npm run generate writes it',
  (name) => {
    expect(interfaceReport(name)).toBe(readFileSync(reportPath(name), 'utf8'));
  },
);
