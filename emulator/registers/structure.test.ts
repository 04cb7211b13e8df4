import { describe, expect, expectTypeOf, test } from 'vitest';
import { fieldOf, offsetOf, registerBlock, sizeOf } from './index';

const DESCRIPTOR = registerBlock({
  CONTROL: { offset: 0x0, access: 'rw', fields: { OWNER: [0], KIND: [31, 28] } },
  ADDRESS: { offset: 0x8, width: 64, access: 'rw', fields: { OFFSET: [11, 0], PAGE: [63, 12] } },
  STATUS: { offset: 0x10, access: 'rw' },
  PAD: { offset: 0x14, access: 'reserved' },
});

describe('positions inside a structure in memory', () => {
  test('a word has an offset in bytes', () => {
    expect(offsetOf(DESCRIPTOR, 'CONTROL')).toBe(0);
    expect(offsetOf(DESCRIPTOR, 'STATUS')).toBe(0x10);
  });

  test('a field has the offset of its word, a width, a shift and a mask in place', () => {
    expect(fieldOf(DESCRIPTOR, 'CONTROL.KIND')).toEqual({ offset: 0, width: 4, shift: 28, mask: 0xf000_0000 });
  });

  test('shift and mask of a field in a 64-bit word are bigint, to go with the word', () => {
    const page = fieldOf(DESCRIPTOR, 'ADDRESS.PAGE');
    expect(page).toEqual({ offset: 8, width: 52, shift: 12n, mask: 0xffff_ffff_ffff_f000n });
    expectTypeOf(page.mask).toEqualTypeOf<bigint>();
    expectTypeOf(fieldOf(DESCRIPTOR, 'CONTROL.OWNER').mask).toEqualTypeOf<number>();
  });

  test('a structure ends with its last word, a reserved one included', () => {
    expect(sizeOf(DESCRIPTOR)).toBe(0x18);
  });

  test('a misspelt name does not compile, and throws', () => {
    // @ts-expect-error no such field
    expect(() => fieldOf(DESCRIPTOR, 'CONTROL.OWNED')).toThrow("no field 'CONTROL.OWNED'");
    // @ts-expect-error no such word
    expect(() => offsetOf(DESCRIPTOR, 'STATE')).toThrow("no 'STATE'");
  });
});
