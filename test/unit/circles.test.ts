/** No file of the sources leads back to itself by its imports, those of types included. For C: guest-tools.test.ts. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { preProcessFile } from 'typescript';
import { describe, expect, it } from 'vitest';
import { circlesIn } from '../support/circles';

const repository = resolve(__dirname, '../..');

describe('the search for circles', () => {
  it('finds files that reach each other, and no others', () => {
    const graph = new Map([
      ['a', ['b', 'd']],
      ['b', ['c']],
      ['c', ['a', 'e']],
      ['d', []],
      ['e', ['f']],
      ['f', ['e']],
    ]);
    expect(circlesIn(graph)).toEqual([
      ['e', 'f'],
      ['a', 'b', 'c'],
    ]);
  });
});

describe('TypeScript', () => {
  it.each(['emulator', 'instrumentation', 'qemu', 'harness', 'cli'])('has no circle of imports in %s', (folder) => {
    const files = readdirSync(join(repository, folder), { recursive: true, encoding: 'utf8' })
      .filter((path) => /^(?!.*\.(?:test|d)\.ts$).*\.ts$/.test(path))
      .map((path) => join(repository, folder, path));
    expect(files.length).toBeGreaterThan(0);
    const graph = new Map(files.map((file) => [file, importsOf(file)]));
    expect(circlesIn(graph)).toEqual([]);
  });

  const importsOf = (file: string): string[] =>
    preProcessFile(readFileSync(file, 'utf8'))
      .importedFiles.filter(({ fileName }) => fileName.startsWith('.'))
      .flatMap(({ fileName }) => {
        const path = resolve(dirname(file), fileName);
        return [path, `${path}.ts`, join(path, 'index.ts')]
          .filter((candidate) => /\.ts$/.test(candidate) && existsSync(candidate))
          .slice(0, 1);
      });
});
