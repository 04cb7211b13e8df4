import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { expect, it } from 'vitest';
import { generatedDocuments } from './generated';

it.each(generatedDocuments().map((file) => [relative(process.cwd(), file.path), file] as const))(
  '%s is what `npm run generate` makes of the tables of the instrumentation',
  (_, { path, text }) => {
    expect(readFileSync(path, 'utf8')).toBe(text);
  },
);
