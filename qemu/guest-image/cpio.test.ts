import { describe, expect, test } from 'vitest';
import { type CpioEntry, writeCpio } from './cpio';

interface Record {
  path: string;
  mode: number;
  data: string;
  device: string;
}

/** Reads an archive, independently of the writer. */
function readCpio(archive: Buffer): Record[] {
  const records: Record[] = [];
  let at = 0;
  const align = (offset: number): number => Math.ceil(offset / 4) * 4;
  for (;;) {
    expect(archive.toString('latin1', at, at + 6)).toBe('070701');
    const field = (index: number): number =>
      Number.parseInt(archive.toString('latin1', at + 6 + index * 8, at + 14 + index * 8), 16);
    const nameEnd = at + 110 + field(11);
    const path = archive.toString('utf8', at + 110, nameEnd - 1);
    const start = align(nameEnd);
    if (path === 'TRAILER!!!') return records;
    const data = archive.toString('utf8', start, start + field(6));
    records.push({ path, mode: field(1), data, device: `${field(9)}:${field(10)}` });
    at = align(start + field(6));
  }
}

describe('writeCpio', () => {
  const entries: CpioEntry[] = [
    { kind: 'folder', path: '/bin' },
    { kind: 'character device', path: '/dev/console', major: 5, minor: 1 },
    { kind: 'file', path: '/bin/run', data: Buffer.from('#!'), executable: true },
    { kind: 'file', path: '/bin/text', data: Buffer.from('odd') },
    { kind: 'link', path: '/bin/sh', target: 'busybox' },
  ];

  test('writes types, modes, contents and device numbers that a reader of the format finds', () => {
    expect(readCpio(writeCpio(entries))).toEqual([
      { path: 'bin', mode: 0o040755, data: '', device: '0:0' },
      { path: 'dev/console', mode: 0o020600, data: '', device: '5:1' },
      { path: 'bin/run', mode: 0o100755, data: '#!', device: '0:0' },
      { path: 'bin/text', mode: 0o100644, data: 'odd', device: '0:0' },
      { path: 'bin/sh', mode: 0o120777, data: 'busybox', device: '0:0' },
    ]);
  });

  test('writes the same bytes for the same entries', () => {
    expect(writeCpio(entries).equals(writeCpio(entries))).toBe(true);
  });

  test('writes an empty archive as the trailer of the format', () => {
    const fields = ['00000000', '00000000', '00000000', '00000000', '00000001', '00000000', '00000000'];
    const rest = ['00000000', '00000000', '00000000', '00000000', '0000000b', '00000000'];
    expect(writeCpio([]).toString('latin1')).toBe(`070701${[...fields, ...rest].join('')}TRAILER!!!\0\0\0\0`);
  });
});
