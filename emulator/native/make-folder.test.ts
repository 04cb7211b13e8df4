import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { makeFolder } from './make-folder';

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'make-folder-'))));
afterEach(() => rmSync(folder, { recursive: true }));

it('a folder is made with its parents, with the given mode, and may exist', () => {
  const path = join(folder, 'a/b/c');
  makeFolder(path, 0o700);
  makeFolder(path);
  expect(['a', 'a/b', 'a/b/c'].map((name) => statSync(join(folder, name)).mode & 0o777)).toEqual([0o700, 0o700, 0o700]);
});

it('a folder in a file system that takes none is refused at once, as is one below a file or in the place of one', () => {
  expect(() => makeFolder('/proc/nope/deeper')).toThrow("ENOENT: no such file or directory, mkdir '/proc/nope'");
  const file = join(folder, 'file');
  writeFileSync(file, '');
  expect(() => makeFolder(file)).toThrow(`EEXIST: file already exists, mkdir '${file}'`);
  expect(() => makeFolder(join(file, 'below'))).toThrow('ENOTDIR: not a directory');
});
