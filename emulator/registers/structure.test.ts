import { describe, expect, expectTypeOf, test } from 'vitest';
import { fieldOf, offsetOf, registerBlock, sizeOf } from './index';

const DESCRIPTOR = registerBlock({
  CONTROL: { offset: 0x0, access: 'rw', fields: { OWNER: [0], KIND: [31, 28] } },
  ADDRESS: { offset: 0x8, width: 64, access: 'rw', fields: { OFFSET: [11, 0], PAGE: [63, 12] } },
  STATUS: { offset: 0x10, access: 'rw' },
  PAD: { offset: 0x14, access: 'reserved' },
});

describe('a structure in memory', () => {
  test('has an offset in bytes for each word', () => {
    expect(offsetOf(DESCRIPTOR, 'CONTROL')).toBe(0);
    expect(offsetOf(DESCRIPTOR, 'STATUS')).toBe(0x10);
  });

  test('has the offset of the word, the width, the shift and the mask for each field', () => {
    expect(fieldOf(DESCRIPTOR, 'CONTROL.KIND')).toEqual({ offset: 0, width: 4, shift: 28, mask: 0xf000_0000 });
  });

  test('has a bigint shift and mask for a field of a 64-bit word', () => {
    const page = fieldOf(DESCRIPTOR, 'ADDRESS.PAGE');
    expect(page).toEqual({ offset: 8, width: 52, shift: 12n, mask: 0xffff_ffff_ffff_f000n });
    expectTypeOf(page.mask).toEqualTypeOf<bigint>();
    expectTypeOf(fieldOf(DESCRIPTOR, 'CONTROL.OWNER').mask).toEqualTypeOf<number>();
  });

  test('ends with its last word, even if that is reserved', () => {
    expect(sizeOf(DESCRIPTOR)).toBe(0x18);
  });

  test('does not compile with a misspelt name, and throws at run time', () => {
    // @ts-expect-error no such field
    expect(() => fieldOf(DESCRIPTOR, 'CONTROL.OWNED')).toThrow("no field 'CONTROL.OWNED'");
    // @ts-expect-error no such word
    expect(() => offsetOf(DESCRIPTOR, 'STATE')).toThrow("no 'STATE'");
  });
});
