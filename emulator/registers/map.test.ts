import { describe, expect, test } from 'vitest';
import { type BlockSpec, type MapSpec, registerBlock, registerMap, RegisterMapError } from './index';

describe('building a register map', () => {
  test('rounds its size up to a power of two, at least one page', () => {
    expect(registerMap({ ID: { offset: 0, access: 'ro' } }).sizeBytes).toBe(4096);
    expect(registerMap({ ID: { offset: 0x1ffc, access: 'ro' } }).sizeBytes).toBe(0x2000);
    expect(registerMap({ ID: { offset: 0x2000, access: 'ro' } }).sizeBytes).toBe(0x4000);
    expect(registerMap({}).sizeBytes).toBe(4096);
  });

  test('uses a smaller size if one is given', () => {
    expect(registerMap({ ID: { offset: 0, access: 'ro' } }, { sizeBytes: 16 }).sizeBytes).toBe(16);
  });

  test('accepts two interleaved arrays of blocks', () => {
    const channel = registerBlock({ CONTROL: { offset: 0, access: 'rw' } });
    const map = registerMap({
      H2C: { offset: 0x0, stride: 0x10, count: 2, registers: channel },
      C2H: { offset: 0x8, stride: 0x10, count: 2, registers: channel },
    });
    expect(map.registers.map(({ path }) => path)).toEqual([
      'H2C[0].CONTROL',
      'C2H[0].CONTROL',
      'H2C[1].CONTROL',
      'C2H[1].CONTROL',
    ]);
  });

  test('returns the declaration of a block unchanged', () => {
    const declaration = { LENGTH: { offset: 4, access: 'rw' } } as const;
    expect(registerBlock(declaration)).toBe(declaration);
  });
});

describe('an invalid register map', () => {
  const refusal = (spec: MapSpec, options?: { sizeBytes?: number }) => refusalOf(() => registerMap(spec, options));
  const rw = { access: 'rw' } as const;
  const pair = { A: { offset: 0, ...rw }, B: { offset: 4, ...rw } };

  test('is refused when two registers overlap', () => {
    expect(refusal({ LEDS: { offset: 4, ...rw }, WIDE: { offset: 0, width: 64, ...rw } })).toBe(
      'WIDE (64 bits at 0x0) and LEDS (32 bits at 0x4) overlap.',
    );
  });

  test('is refused when a byte lies inside a wider register', () => {
    expect(refusal({ WORD: { offset: 0, ...rw }, BYTE: { offset: 3, width: 8, ...rw } })).toBe(
      'WORD (32 bits at 0x0) and BYTE (8 bits at 0x3) overlap.',
    );
  });

  test('is refused when a register lies inside a block', () => {
    expect(refusal({ H2C: { offset: 0x10, count: 1, registers: pair }, ID: { offset: 0x14, ...rw } })).toBe(
      'H2C[0].B (32 bits at 0x14) and ID (32 bits at 0x14) overlap.',
    );
  });

  test('is refused when two blocks overlap', () => {
    const message = refusal({
      H2C: { offset: 0x10, stride: 8, count: 2, registers: pair },
      C2H: { offset: 0x1c, registers: pair },
    });
    expect(message).toBe('H2C[1].B (32 bits at 0x1c) and C2H[0].A (32 bits at 0x1c) overlap.');
  });

  test('is refused when the stride is smaller than the block', () => {
    expect(refusal({ H2C: { offset: 0, stride: 4, count: 2, registers: pair } })).toBe(
      'H2C[0] and H2C[1] overlap: the stride is 0x4 but a block takes 0x8 bytes.',
    );
  });

  test('is refused when an array of several blocks has no stride', () => {
    expect(refusal({ H2C: { offset: 0, count: 2, registers: pair } })).toContain('declare the stride');
  });

  test.each([0, -1, 1.5])('is refused when an array has %s blocks', (count) => {
    expect(refusal({ H2C: { offset: 0, stride: 8, count, registers: pair } })).toContain('whole number of blocks');
  });

  test('is refused when a register is misaligned', () => {
    expect(refusal({ BASE: { offset: 4, width: 64, ...rw } })).toBe(
      'BASE is misaligned: 64 bits at 0x4, which is not a multiple of 8.',
    );
  });

  test('is refused when a block would misalign its widest register', () => {
    const registers = { LOW: { offset: 8, ...rw }, BASE: { offset: 0, width: 64, ...rw } } as const;
    expect(refusal({ H2C: { offset: 4, registers } })).toContain(
      'H2C[].BASE needs offset and stride to be multiples of 8',
    );
    expect(refusal({ H2C: { offset: 0, stride: 12, count: 2, registers } })).toContain('H2C[].BASE');
  });

  test.each([-4, 1.5, Number.NaN])('is refused when an offset is %s', (offset) => {
    expect(refusal({ ID: { offset, ...rw } })).toContain(`ID is at offset ${offset}`);
  });

  test('is refused when a register does not fit into its size', () => {
    expect(refusal({ ID: { offset: 0, ...rw }, FAR: { offset: 0x10, ...rw } }, { sizeBytes: 16 })).toBe(
      'FAR (32 bits at 0x10) lies outside the map, whose sizeBytes is 0x10.',
    );
  });

  test.each([0, 3, 12, 4097])('is refused when its size is %s', (sizeBytes) => {
    expect(refusal({}, { sizeBytes })).toBe(
      `The map's sizeBytes is ${sizeBytes}: it must be a power of two, at least 4.`,
    );
  });

  test('is refused when a field does not fit into its register', () => {
    expect(refusal({ LEDS: { offset: 0, width: 16, ...rw, fields: { RED: [16, 15] } } })).toBe(
      'LEDS.RED [16:15] does not fit into LEDS, which has 16 bits.',
    );
  });

  test('is refused when two fields overlap', () => {
    expect(refusal({ LEDS: { offset: 0, ...rw, fields: { HIGH: [7, 4], LOW: [4, 0] } } })).toBe(
      'LEDS.LOW [4:0] and LEDS.HIGH [7:4] overlap.',
    );
  });

  test('is refused when a field has its bits in the wrong order', () => {
    expect(refusal({ LEDS: { offset: 0, ...rw, fields: { RED: [0, 3] } } })).toBe(
      'LEDS.RED has bits [0, 3]: use [bit] or [msb, lsb].',
    );
  });

  test('is refused when a field lies on reserved bits', () => {
    expect(refusal({ GAP: { offset: 0, access: 'reserved', fields: { RED: [0] } } })).toContain(
      'GAP.RED lies on reserved bits',
    );
  });

  test('is refused when a reset value does not fit', () => {
    expect(refusal({ BYTE: { offset: 0, width: 8, ...rw, reset: 0x100 } })).toBe(
      'BYTE reset value 0x100 does not fit into 8 bits.',
    );
    expect(refusal({ WORD: { offset: 0, ...rw, reset: -1 } })).toContain('WORD reset value');
    expect(refusal({ LEDS: { offset: 0, ...rw, fields: { RED: { bits: [0], reset: 2 } } } })).toBe(
      'LEDS.RED reset value 0x2 does not fit into 1 bit.',
    );
  });

  test('is refused when a reset value sets reserved bits', () => {
    expect(refusal({ LEDS: { offset: 0, ...rw, reset: 5, fields: { RED: [0] } } })).toContain(
      'sets reserved bits (0x4)',
    );
    expect(refusal({ GAP: { offset: 0, access: 'reserved', reset: 1 } })).toContain('sets reserved bits (0x1)');
  });

  test('is refused when a register and its field declare different reset values', () => {
    expect(refusal({ LEDS: { offset: 0, ...rw, reset: 0, fields: { RED: { bits: [0], reset: 1 } } } })).toBe(
      'LEDS.RED resets to 0x1, but LEDS resets to 0x0: declare one of them.',
    );
  });

  test('is refused when a named value does not fit into its field', () => {
    expect(refusal({ MODE: { offset: 0, ...rw, fields: { SELECT: { bits: [1, 0], values: { FAST: 4 } } } } })).toBe(
      'MODE.SELECT value FAST 0x4 does not fit into 2 bits.',
    );
  });

  test('is refused when a property is misspelt', () => {
    expect(refusal({ ID: { offset: 0, ...rw, reste: 1 } as MapSpec[string] })).toContain("unknown property 'reste'");
  });

  test.each(['2ND', 'A.B', 'A[0]', ''])('is refused when a name is "%s"', (name) => {
    expect(refusal({ [name]: { offset: 0, ...rw } })).toContain('is not a valid name');
  });

  test('is refused when a width is not 8, 16, 32 or 64', () => {
    expect(refusal({ ODD: { offset: 0, ...rw, width: 24 as 32 } })).toContain('ODD is 24 bits wide');
  });
});

test('a block whose registers overlap is refused before it is used in a map', () => {
  const spec: BlockSpec = { A: { offset: 0, access: 'rw' }, B: { offset: 2, width: 16, access: 'rw' } };
  expect(refusalOf(() => registerBlock(spec))).toBe('A (32 bits at 0x0) and B (16 bits at 0x2) overlap.');
});

function refusalOf(build: () => unknown): string {
  try {
    build();
  } catch (error) {
    expect(error).toBeInstanceOf(RegisterMapError);
    return (error as Error).message;
  }
  throw new Error('The map was built.');
}
