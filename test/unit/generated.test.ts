import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { expect, it } from 'vitest';
import { generatedFiles } from '../generate/files';

it.each(generatedFiles().map((file) => [relative(process.cwd(), file.path), file] as const))(
  '%s is what `npm run generate` writes',
  (_, { path, text }) => {
    expect(readFileSync(path, 'utf8')).toBe(text);
  },
);
