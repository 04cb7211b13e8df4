import { describe, expect, test } from 'vitest';
import type { Access } from './access';
import { cHeader, markdownTable, RegisterFile, type RegisterMap, registerMap, type ResetKind } from './index';

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

  // [access, state after a write of 0xf0f0_f0f0 to 0xff00_ff00, what a read of 0xff00_ff00 returns, state after it]
  test.each<[Access, number, number, number]>([
    ['w1t', 0x0ff0_0ff0, 0xff00_ff00, 0xff00_ff00],
    ['wo1c', 0x0f00_0f00, 0, 0xff00_ff00],
    ['wo1s', 0xfff0_fff0, 0, 0xff00_ff00],
    ['wo1t', 0x0ff0_0ff0, 0, 0xff00_ff00],
    ['w0c', 0xf000_f000, 0xff00_ff00, 0xff00_ff00],
    ['w0s', 0xff0f_ff0f, 0xff00_ff00, 0xff00_ff00],
    ['w0t', 0xf00f_f00f, 0xff00_ff00, 0xff00_ff00],
    ['wc', 0, 0xff00_ff00, 0xff00_ff00],
    ['ws', 0xffff_ffff, 0xff00_ff00, 0xff00_ff00],
    ['woc', 0, 0, 0xff00_ff00],
    ['wos', 0xffff_ffff, 0, 0xff00_ff00],
    ['rs', 0xff00_ff00, 0xff00_ff00, 0xffff_ffff],
    ['wrc', 0xf0f0_f0f0, 0xff00_ff00, 0],
    ['wrs', 0xf0f0_f0f0, 0xff00_ff00, 0xffff_ffff],
    ['wsrc', 0xffff_ffff, 0xff00_ff00, 0],
    ['wcrs', 0, 0xff00_ff00, 0xffff_ffff],
    ['w1crc', 0x0f00_0f00, 0xff00_ff00, 0],
    ['w1src', 0xfff0_fff0, 0xff00_ff00, 0],
    ['w1crs', 0x0f00_0f00, 0xff00_ff00, 0xffff_ffff],
    ['w0src', 0xff0f_ff0f, 0xff00_ff00, 0],
    ['w0crs', 0xf000_f000, 0xff00_ff00, 0xffff_ffff],
    ['w1', 0xf0f0_f0f0, 0xff00_ff00, 0xff00_ff00],
    ['wo1', 0xf0f0_f0f0, 0, 0xff00_ff00],
  ])('%s: writes and reads do what the table of access kinds says', (access, afterWrite, seen, afterRead) => {
    const written = fileOf(access);
    write(written, 0, 4, 0xf0f0_f0f0);
    expect(written.get('R')).toBe(afterWrite);
    const fileRead = fileOf(access);
    expect(read(fileRead, 0, 4)).toBe(BigInt(seen));
    expect(fileRead.get('R')).toBe(afterRead);
  });

  test.each<Access>(['w1', 'wo1'])('%s: each byte lane takes one write after a reset', (access) => {
    const file = fileOf(access);
    write(file, 0, 1, 0x11);
    write(file, 0, 4, 0x2222_2222);
    write(file, 0, 4, 0x3333_3333);
    expect(file.get('R')).toBe(0x2222_2211);
    file.reset();
    write(file, 0, 4, 0x4444_4444);
    expect(file.get('R')).toBe(0x4444_4444);
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
  const RULES = ['ro', 'rw', 'wo', 'w1c', 'w1s', 'rc', 'w1t', 'w0s', 'wrs', 'w1', 'reserved'] as const;
  /**
   * 8-, 16-, 32- and 64-bit registers with access rules of every effect, gaps, one register whose fields have different
   * rules, and aliases of each width, two of them in one word.
   */
  const map: RegisterMap = registerMap({
    ...Object.fromEntries(
      RULES.flatMap((access, index) => [
        [`BYTE${index}`, { offset: index * 4 + (index % 4), width: 8, access }],
        [`HALF${index}`, { offset: 0x30 + index * 2, width: 16, access }],
        [`WORD${index}`, { offset: 0x48 + index * 4, access }],
        [`LONG${index}`, { offset: 0x78 + index * 8, width: 64, access }],
      ]),
    ),
    MIXED: {
      offset: 0xd0,
      access: 'ro',
      fields: Object.fromEntries(
        RULES.slice(0, 8).map((access, index) => [
          `F${index}`,
          { bits: [index * 4 + 2, index * 4] as [number, number], access },
        ]),
      ),
    },
    BYTE1_T: { offset: 0xd5, aliasOf: 'BYTE1', access: 'w1t' },
    HALF1_S: { offset: 0xd8, aliasOf: 'HALF1', access: 'wo1s' },
    HALF1_C: { offset: 0xda, aliasOf: 'HALF1', access: 'w1crc' },
    WORD1_C: { offset: 0xdc, aliasOf: 'WORD1', access: 'w1c' },
    LONG0_RC: { offset: 0xe0, aliasOf: 'LONG0', access: 'rc' },
    LONG1_S: { offset: 0xe8, aliasOf: 'LONG1', access: 'w1s' },
    MIXED_W: { offset: 0xf0, aliasOf: 'MIXED', access: 'rw' },
  });
  const SIZE = 0xf8;

  /** The access rules again, implemented one bit at a time. */
  class BitwiseModel {
    readonly #rules: Access[] = new Array<Access>(SIZE * 8).fill('reserved');
    /** The bit that has the state. */
    readonly #home: number[] = Array.from({ length: SIZE * 8 }, (_, bit) => bit);
    readonly #once = new Set<number>();
    readonly bits: number[] = new Array<number>(SIZE * 8).fill(0);

    constructor() {
      for (const { offset, width, access, fields, aliasOf } of map.registers) {
        const home = map.registers.find(({ path }) => path === aliasOf)?.offset ?? offset;
        for (let bit = 0; bit < width; bit++) this.#home[offset * 8 + bit] = home * 8 + bit;
        const ranges = fields.length > 0 ? fields : [{ lsb: 0, msb: width - 1, access }];
        for (const { lsb, msb, access: rule } of ranges) {
          for (let bit = lsb; bit <= msb; bit++) this.#rules[offset * 8 + bit] = rule;
        }
      }
    }

    write(offset: number, size: number, value: bigint): void {
      for (let bit = 0; bit < size * 8; bit++) {
        const at = this.#home[offset * 8 + bit]!;
        const driven = Number((value >> BigInt(bit)) & 1n);
        const rule = this.#rules[offset * 8 + bit]!;
        if (rule === 'rw' || rule === 'wo' || rule === 'wrs') this.bits[at] = driven;
        if (rule === 'w1' && !this.#once.has(at)) this.bits[at] = driven;
        if (rule === 'w1') this.#once.add(at);
        if ((rule === 'w1c' || rule === 'w1crc') && driven) this.bits[at] = 0;
        if ((rule === 'w1s' || rule === 'wo1s') && driven) this.bits[at] = 1;
        if (rule === 'w1t' && driven) this.bits[at] = 1 - this.bits[at]!;
        if (rule === 'w0s' && !driven) this.bits[at] = 1;
      }
    }

    read(offset: number, size: number): bigint {
      let value = 0n;
      for (let bit = 0; bit < size * 8; bit++) {
        const at = this.#home[offset * 8 + bit]!;
        const rule = this.#rules[offset * 8 + bit]!;
        if (!['wo', 'wo1s', 'reserved'].includes(rule)) value |= BigInt(this.bits[at]!) << BigInt(bit);
        if (rule === 'rc' || rule === 'w1crc') this.bits[at] = 0;
        if (rule === 'wrs') this.bits[at] = 1;
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
      for (const { path } of map.registers.filter(({ aliasOf }) => aliasOf === undefined)) {
        file.onRead(path, (stored) => stored);
        file.onWrite(path, () => {});
      }
    }
    for (let round = 0; round < 4000; round++) {
      const size = [1, 2, 4, 8, 3, 16][random(6)]!;
      const offset = random(SIZE - size + 1);
      if (random(8) === 0) {
        const { path, aliasOf = path, width } = map.registers[random(map.registers.length)]!;
        const start = map.registers.find((register) => register.path === aliasOf)!.offset;
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

describe('a reset', () => {
  const map = registerMap(
    {
      OWN: { offset: 0x00, access: 'rw', survives: [] },
      WHOLE: { offset: 0x04, access: 'rw', reset: 1 },
      PART: {
        offset: 0x08,
        width: 64,
        access: 'rw',
        reset: 0x10_0000_0001n,
        survives: 'sticky',
        fields: { LOW: [7, 0], HIGH: { bits: [39, 32], survives: [] } },
      },
      BLOCK: { offset: 0x10, survives: ['flr', 'd3hot'], registers: { R: { offset: 0, access: 'rw' } } },
    },
    { survives: ['flr'] },
  );
  const after = (kind?: ResetKind): (number | bigint)[] => {
    const file = new RegisterFile(map);
    for (const name of ['OWN', 'WHOLE', 'BLOCK[0].R'] as const) file.set(name, 0x77);
    file.set('PART', 0x77_0000_0077n);
    file.reset(kind);
    return (['OWN', 'WHOLE', 'PART', 'BLOCK[0].R'] as const).map((name) => file.get(name));
  };

  test.each<[ResetKind, (number | bigint)[]]>([
    ['flr', [0, 0x77, 0x10_0000_0077n, 0x77]],
    ['d3hot', [0, 1, 0x10_0000_0077n, 0x77]],
    ['device', [0, 1, 0x10_0000_0077n, 0]],
    ['power', [0, 1, 0x10_0000_0001n, 0]],
  ])(
    'of the kind %s leaves what survives it: of the field, register, block or map that declares it',
    (kind, values) => {
      expect(after(kind)).toEqual(values);
    },
  );

  test('without a kind sets everything to its reset value', () => {
    expect(after()).toEqual([0, 1, 0x10_0000_0001n, 0]);
  });

  test('cannot be survived when power is lost, or when there is no such reset', () => {
    const survives = (kind: string) => () => registerMap({ R: { offset: 0, access: 'rw', survives: [kind] as never } });
    expect(survives('power')).toThrow("R survives 'power': what a value can survive is device, flr, d3hot, link-down");
    expect(survives('hot')).toThrow("R survives 'hot'");
  });

  test('that is survived is told in the C header and in the tables of registers', () => {
    expect(cHeader(map, { prefix: 'X' })).toMatch(
      /WHOLE: 32 bits, rw, survives flr\.[^]*\[39:32\] rw, survives no reset\.[^]*BLOCK\[n\]: 1 block of registers, n from 0, survives flr, d3hot\./,
    );
    const table = markdownTable(map);
    expect(table).toContain('| `0x04` | `WHOLE` | 31:0 | rw | `0x1`, survives flr |'.replace('0x04', '0x004'));
    expect(table).toContain('- `BLOCK[0]` is at `0x010`, survives flr, d3hot.');
  });
});
