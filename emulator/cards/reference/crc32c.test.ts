import { describe, expect, it } from 'vitest';
import { crc32cResult, crc32cStart, crc32cUpdate } from './crc32c';

const crc = (bytes: Iterable<number>): number => crc32cResult(crc32cUpdate(crc32cStart, Uint8Array.from(bytes)));

describe('CRC-32C', () => {
  it.each([
    ['32 bytes of zeroes', Array<number>(32).fill(0), 0x8a91_36aa],
    ['32 bytes of ones', Array<number>(32).fill(0xff), 0x62a8_ab43],
    ['32 bytes rising from 0', Array.from({ length: 32 }, (_, i) => i), 0x46dd_794e],
    ['32 bytes falling to 0', Array.from({ length: 32 }, (_, i) => 31 - i), 0x113f_db5c],
    ['the check string "123456789"', Buffer.from('123456789'), 0xe306_9283],
    ['nothing', [], 0],
  ])('of %s is that of RFC 3720, appendix B.4, and of the CRC catalogue', (_, bytes, expected) => {
    expect(crc(bytes)).toBe(expected);
  });

  it('is the same however the bytes are cut', () => {
    const bytes = Uint8Array.from({ length: 1000 }, (_, i) => (i * 7) & 0xff);
    for (const cut of [1, 7, 8, 9, 500, 993]) {
      const register = crc32cUpdate(crc32cUpdate(crc32cStart, bytes.subarray(0, cut)), bytes.subarray(cut));
      expect(crc32cResult(register)).toBe(crc(bytes));
    }
  });
});
