/** The documents of this repository, for the tests that keep them true. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export const repository = join(__dirname, '..', '..');

export const read = (path: string): string => readFileSync(join(repository, path), 'utf8');

const exampleFolders = readdirSync(join(repository, 'examples'), { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => join('examples', name));

/** Paths from the repository's folder. */
export const documents = ['.', 'docs', 'guest-tools', ...exampleFolders].flatMap((folder) =>
  readdirSync(join(repository, folder))
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(folder, name)),
);

export interface Block {
  readonly language: string;
  readonly code: string;
}

export const blocksOf = (document: string): Block[] =>
  [...read(document).matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(([, language = '', code = '']) => ({ language, code }));
