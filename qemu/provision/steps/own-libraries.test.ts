import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { hostArch, hostFacts } from '../basis/arch';
import { findTool } from '../basis/tools';
import { PROGRAM_FOLDERS, useOwnLibraries } from './own-libraries';

const { triplet, loader } = hostFacts(hostArch());
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'ghostcard-own-libraries-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Unpacked packages with a program, its loader and its library. */
function unpack(): string {
  const root = path.join(folder, 'root');
  const libraries = path.join(root, 'usr/lib', triplet);
  mkdirSync(libraries, { recursive: true });
  mkdirSync(path.join(root, 'usr/bin'));
  const needed = execFileSync('ldd', [findTool('uname')!], { encoding: 'utf8' });
  for (const [, file = ''] of needed.matchAll(/(\/\S+)/g))
    copyFileSync(file, path.join(libraries, path.basename(file)));
  copyFileSync(findTool('uname')!, path.join(root, 'usr/bin/tool-12'));
  symlinkSync('tool-12', path.join(root, 'usr/bin/tool'));
  return root;
}

test('a program runs through the loader beside its libraries, by its name or a link, also after a move', () => {
  const root = unpack();
  useOwnLibraries(root, PROGRAM_FOLDERS, hostArch());
  const moved = path.join(folder, 'elsewhere');
  renameSync(root, moved);
  for (const name of ['tool-12', 'tool']) {
    const program = path.join(moved, 'usr/bin', name);
    expect(execFileSync(program, ['-s'], { encoding: 'utf8' })).toBe('Linux\n');
    expect(execFileSync('sh', ['-c', `"${program}" --help`], { encoding: 'utf8' })).toContain('tool-12 [OPTION]');
  }
  rmSync(path.join(moved, 'usr/lib', triplet, loader));
  expect(() => execFileSync(path.join(moved, 'usr/bin/tool'), { stdio: 'ignore' })).toThrow();
});

test('libraries and scripts stay as they are', () => {
  const root = unpack();
  const library = path.join(root, 'usr/lib', triplet, 'libc.so.6');
  const before = readFileSync(library);
  useOwnLibraries(root, PROGRAM_FOLDERS, hostArch());
  expect(readFileSync(library).equals(before)).toBe(true);
  expect(existsSync(path.join(root, 'usr/lib', triplet, `${loader}.elf`))).toBe(false);
});

test('the error for packages without a loader says so', () => {
  expect(() => useOwnLibraries(folder, PROGRAM_FOLDERS, hostArch())).toThrow(/there is no ld-linux/);
});
