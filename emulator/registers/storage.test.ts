import { describe, expect, test } from 'vitest';
import type { Access } from './declaration';
import { RegisterFile, type RegisterMap, registerMap } from './index';

/** Bus read of `size` bytes, as a little-endian number. */
function read(file: RegisterFile, offset: number, size: number): bigint {
  const data = new Uint8Array(size).fill(0xee);
  file.read(offset, data);
  return data.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
}

function write(file: RegisterFile, offset: number, size: number, value: number | bigint): void {
  file.write(
    offset,
    Uint8Array.from({ length: size }, (_, byte) => Number((BigInt(value) >> BigInt(8 * byte)) & 0xffn)),
  );
}

describe('the access rule of a register', () => {
  const fileOf = (access: Access) => {
    const file = new RegisterFile(registerMap({ R: { offset: 0, access } }));
    file.set('R', 0xff00_ff00);
    return file;
  };

  test('ro: a write is ignored', () => {
    const file = fileOf('ro');
    write(file, 0, 4, 0x1234_5678);
    expect(read(file, 0, 4)).toBe(0xff00_ff00n);
  });

  test('rw: a read returns what was written', () => {
    const file = fileOf('rw');
    write(file, 0, 4, 0x9234_5678);
    expect(read(file, 0, 4)).toBe(0x9234_5678n);
    expect(file.get('R')).toBe(0x9234_5678);
  });

  test('wo: a write reaches the card, and a read returns 0', () => {
    const file = fileOf('wo');
    write(file, 0, 4, 0x1234_5678);
    expect(file.get('R')).toBe(0x1234_5678);
    expect(read(file, 0, 4)).toBe(0n);
  });

  test('w1c: ones clear bits, zeros leave them unchanged', () => {
    const file = fileOf('w1c');
    write(file, 0, 4, 0xf0f0_f0f0);
    expect(read(file, 0, 4)).toBe(0x0f00_0f00n);
  });

  test('w1s: ones set bits, zeros leave them unchanged', () => {
    const file = fileOf('w1s');
    write(file, 0, 4, 0x8000_000f);
    expect(read(file, 0, 4)).toBe(0xff00_ff0fn);
  });

  test('rc: a read clears the bits, a write is ignored', () => {
    const file = fileOf('rc');
    write(file, 0, 4, 0xffff_ffff);
    expect(read(file, 0, 4)).toBe(0xff00_ff00n);
    expect(read(file, 0, 4)).toBe(0n);
  });

  test('reserved: reads 0 and ignores writes', () => {
    const file = fileOf('reserved');
    write(file, 0, 4, 0x1234_5678);
    expect(read(file, 0, 4)).toBe(0n);
    expect(file.get('R')).toBe(0xff00_ff00);
  });
});

describe('a register with fields', () => {
  const map = registerMap({
    STATUS: {
      offset: 0,
      access: 'ro',
      fields: { BUSY: [0], ERROR: { bits: [2], access: 'w1c' }, MODE: { bits: [31, 28], access: 'rw', reset: 0xa } },
    },
  });

  test('follows the rule of each field', () => {
    const file = new RegisterFile(map);
    file.set('STATUS.BUSY', 1);
    file.set('STATUS.ERROR', 1);
    expect(read(file, 0, 4)).toBe(0xa000_0005n);
    write(file, 0, 4, 0x5000_0004);
    expect(read(file, 0, 4)).toBe(0x5000_0001n);
  });

  test('has reserved bits outside its fields', () => {
    const file = new RegisterFile(map);
    write(file, 0, 4, 0xffff_ffff);
    expect(read(file, 0, 4)).toBe(0xf000_0000n);
  });
});

describe('an access that is not the size of the register', () => {
  test('a byte write to a w1c register clears bits only in its byte lane', () => {
    const file = new RegisterFile(registerMap({ STATUS: { offset: 0, access: 'w1c', reset: 0xffff_ffff } }));
    write(file, 2, 1, 0x0f);
    expect(file.get('STATUS')).toBe(0xfff0_ffff);
  });

  test('a 16-bit write to a w1s register sets bits only in its byte lanes', () => {
    const file = new RegisterFile(registerMap({ STATUS: { offset: 0, access: 'w1s' } }));
    write(file, 2, 2, 0x8001);
    expect(file.get('STATUS')).toBe(0x8001_0000);
  });

  test('a byte read of an rc register clears only the byte that was read', () => {
    const file = new RegisterFile(registerMap({ EVENTS: { offset: 0, access: 'rc', reset: 0x4433_2211 } }));
    expect(read(file, 1, 1)).toBe(0x22n);
    expect(file.get('EVENTS')).toBe(0x4433_0011);
  });

  test('a 64-bit access covers two 32-bit registers', () => {
    const file = new RegisterFile(registerMap({ A: { offset: 0, access: 'rw' }, B: { offset: 4, access: 'rw' } }));
    write(file, 0, 8, 0x1122_3344_5566_7788n);
    expect([file.get('A'), file.get('B')]).toEqual([0x5566_7788, 0x1122_3344]);
    expect(read(file, 0, 8)).toBe(0x1122_3344_5566_7788n);
  });

  test('two 32-bit accesses cover the halves of a 64-bit register', () => {
    const file = new RegisterFile(registerMap({ BASE: { offset: 8, width: 64, access: 'rw' } }));
    write(file, 8, 4, 0x89ab_cdef);
    write(file, 12, 4, 0xf123_4567);
    expect(file.get('BASE')).toBe(0xf123_4567_89ab_cdefn);
    expect([read(file, 8, 4), read(file, 12, 4)]).toEqual([0x89ab_cdefn, 0xf123_4567n]);
  });

  test('an access that straddles two registers covers the end of one and the start of the next', () => {
    const file = new RegisterFile(registerMap({ A: { offset: 0, access: 'rw' }, B: { offset: 4, access: 'w1c' } }));
    file.set('B', 0xffff_ffff);
    write(file, 3, 4, 0x0403_0201);
    expect([file.get('A'), file.get('B')]).toEqual([0x0100_0000, 0xfffb_fcfd]);
    expect(read(file, 3, 4)).toBe(0xfbfc_fd01n);
  });

  test('one access covers several registers of 8 and 16 bits', () => {
    const file = new RegisterFile(
      registerMap({
        A: { offset: 0, width: 8, access: 'ro', reset: 0x11 },
        B: { offset: 1, width: 8, access: 'rw' },
        C: { offset: 2, width: 16, access: 'rw' },
      }),
    );
    write(file, 0, 4, 0x8899_aabb);
    expect([file.get('A'), file.get('B'), file.get('C')]).toEqual([0x11, 0xaa, 0x8899]);
    expect(read(file, 0, 4)).toBe(0x8899_aa11n);
  });
});

describe('an offset without a register', () => {
  const file = new RegisterFile(registerMap({ A: { offset: 0x10, access: 'rw' } }, { sizeBytes: 0x1000 }));

  test.each([
    ['before the first register', 0x0],
    ['after the last register', 0x800],
    ['at the end of the map', 0x1000],
    ['beyond 32 bits', 2 ** 32 + 0x10],
  ])('%s reads 0 and ignores writes', (_, offset) => {
    for (const size of [1, 2, 3, 4, 8, 64]) {
      write(file, offset + 0x100, size, (1n << 512n) - 1n);
      expect(read(file, offset + 0x100, size)).toBe(0n);
    }
    expect(file.get('A')).toBe(0);
  });

  test('next to a register reads 0 in the same access', () => {
    file.set('A', 0xffff_ffff);
    expect(read(file, 0xe, 8)).toBe(0x0000_ffff_ffff_0000n);
  });
});

describe('accesses of every size and alignment', () => {
  const RULES = ['ro', 'rw', 'wo', 'w1c', 'w1s', 'rc', 'reserved'] as const;
  /**
   * 8-, 16-, 32- and 64-bit registers with every access rule, gaps, and one register whose fields have different rules.
   */
  const map: RegisterMap = registerMap({
    ...Object.fromEntries(
      RULES.flatMap((access, index) => [
        [`BYTE${index}`, { offset: index * 4 + (index % 4), width: 8, access }],
        [`HALF${index}`, { offset: 0x20 + index * 2, width: 16, access }],
        [`WORD${index}`, { offset: 0x30 + index * 4, access }],
        [`LONG${index}`, { offset: 0x50 + index * 8, width: 64, access }],
      ]),
    ),
    MIXED: {
      offset: 0x90,
      access: 'reserved',
      fields: Object.fromEntries(
        RULES.map((access, index) => [`F${index}`, { bits: [index * 4 + 2, index * 4] as [number, number], access }]),
      ),
    },
  });

  /** The access rules again, implemented one bit at a time. */
  class BitwiseModel {
    readonly #rules: Access[] = new Array<Access>(0xa0 * 8).fill('reserved');
    readonly bits: number[] = new Array<number>(0xa0 * 8).fill(0);

    constructor() {
      for (const { offset, width, access, fields } of map.registers) {
        const ranges = fields.length > 0 ? fields : [{ lsb: 0, msb: width - 1, access }];
        for (const { lsb, msb, access: rule } of ranges) {
          for (let bit = lsb; bit <= msb; bit++) this.#rules[offset * 8 + bit] = rule;
        }
      }
    }

    write(offset: number, size: number, value: bigint): void {
      for (let bit = 0; bit < size * 8; bit++) {
        const at = offset * 8 + bit;
        const driven = Number((value >> BigInt(bit)) & 1n);
        const rule = this.#rules[at];
        if (rule === 'rw' || rule === 'wo') this.bits[at] = driven;
        if (rule === 'w1c' && driven) this.bits[at] = 0;
        if (rule === 'w1s' && driven) this.bits[at] = 1;
      }
    }

    read(offset: number, size: number): bigint {
      let value = 0n;
      for (let bit = 0; bit < size * 8; bit++) {
        const at = offset * 8 + bit;
        const rule = this.#rules[at];
        if (rule !== 'wo' && rule !== 'reserved') value |= BigInt(this.bits[at]!) << BigInt(bit);
        if (rule === 'rc') this.bits[at] = 0;
      }
      return value;
    }
  }

  test.each([
    ['without hooks', false],
    ['with hooks that change nothing', true],
  ])('agree with a bit-by-bit model, %s', (_, hooked) => {
    const file: RegisterFile = new RegisterFile(map);
    const model = new BitwiseModel();
    const random = seededRandom(0x4748_4331);
    if (hooked) {
      for (const { path } of map.registers) {
        file.onRead(path, (stored) => stored);
        file.onWrite(path, () => {});
      }
    }
    for (let round = 0; round < 4000; round++) {
      const size = [1, 2, 4, 8, 3, 16][random(6)]!;
      const offset = random(0xa0 - size + 1);
      if (random(8) === 0) {
        const { path, offset: start, width } = map.registers[random(map.registers.length)]!;
        const value = BigInt.asUintN(width, randomBits(random));
        file.set(path, width === 64 ? value : Number(value));
        for (let bit = 0; bit < width; bit++) model.bits[start * 8 + bit] = Number((value >> BigInt(bit)) & 1n);
      } else if (random(2) === 0) {
        const value = (randomBits(random) << 64n) | randomBits(random);
        write(file, offset, size, BigInt.asUintN(size * 8, value));
        model.write(offset, size, value);
      } else {
        expect(read(file, offset, size), `round ${round}: ${size} bytes at ${offset}`).toBe(model.read(offset, size));
      }
    }
  });
});

/** Whole numbers from 0 to `limit` - 1, the same in every run (xorshift32). */
function seededRandom(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % limit;
  };
}

const randomBits = (random: (limit: number) => number): bigint =>
  (BigInt(random(2 ** 32)) << 32n) | BigInt(random(2 ** 32));
