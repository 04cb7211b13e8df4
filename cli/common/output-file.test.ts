import { lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { UsageError } from './errors';
import { writeWhole } from './output-file';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ghostcard-output-'));
  path = join(folder, 'out');
});
afterEach(() => rmSync(folder, { recursive: true }));

/** As a disk that becomes full. */
const failing = (part: string): never => {
  writeFileSync(part, 'half');
  throw Object.assign(new Error(`ENOSPC: no space left on device, write`), { code: 'ENOSPC' });
};

describe('a file that a command writes', () => {
  it('is written, and replaced, as a whole', () => {
    for (const text of ['one', 'another']) {
      writeWhole('--output', path, (part) => writeFileSync(part, text));
      expect(readFileSync(path, 'utf8')).toBe(text);
    }
    expect(readdirSync(folder)).toEqual(['out']);
  });

  it('is not there when writing it fails', () => {
    expect(() => writeWhole('--output', path, failing)).toThrow(
      new UsageError(`--output ${path}: it cannot be written: the disk is full: make room, or name a file on another`),
    );
    expect(readdirSync(folder)).toEqual([]);
  });

  it('stays as it was when writing it fails', () => {
    writeFileSync(path, 'before');
    expect(() => writeWhole('--output', path, failing)).toThrow('the disk is full');
    expect([readdirSync(folder), readFileSync(path, 'utf8')]).toEqual([['out'], 'before']);
  });

  it('is the one that a link refers to', () => {
    writeFileSync(path, 'before');
    const link = join(folder, 'link');
    symlinkSync(path, link);
    writeWhole('--output', link, (part) => writeFileSync(part, 'after'));
    expect([lstatSync(link).isSymbolicLink(), readFileSync(path, 'utf8')]).toEqual([true, 'after']);
  });

  it('may be a device', () => {
    writeWhole('--output', '/dev/null', (part) => writeFileSync(part, 'text'));
    expect(() => writeWhole('--output', '/dev/full', (part) => writeFileSync(part, 'text'))).toThrow(
      '--output /dev/full: it cannot be written: the disk is full',
    );
  });

  it('in a folder that is not there is refused by the name that was given', () => {
    const missing = join(folder, 'missing', 'out');
    expect(() => writeWhole('--output', missing, (part) => writeFileSync(part, ''))).toThrow(
      `--output ${missing}: it cannot be written: its folder does not exist: make it first, or name another`,
    );
  });
});
