import { expect, it } from 'vitest';
import { formatBytes, formatTable } from './output';

it('makes columns as wide as their widest cell and puts numbers to the right', () => {
  const text = formatTable(
    [{ title: 'app' }, { title: 'bytes', align: 'right' }],
    [
      ['loopback', '16'],
      ['crc', '1234567'],
    ],
  );
  expect(text).toBe('app         bytes\n--------  -------\nloopback       16\ncrc       1234567\n');
});

it.each([
  [0, '0 B'],
  [1023, '1023 B'],
  [1024, '1.0 KiB'],
  [16 << 20, '16.0 MiB'],
  [3 * 2 ** 40, '3072.0 GiB'],
])('writes %d bytes as %s', (bytes, text) => expect(formatBytes(bytes)).toBe(text));
