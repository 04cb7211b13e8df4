import { describe, expect, test } from 'vitest';
import { blockSizeBytes, byOffset, layOutMap } from './layout';

describe('the flat list of a map', () => {
  test('fills in the defaults of every register', () => {
    expect(layOutMap({ ID: { offset: 4, access: 'ro' } })).toEqual([
      { name: 'ID', path: 'ID', offset: 4, width: 32, access: 'ro', reset: 0n, doc: '', fields: [] },
    ]);
  });

  test('gives each register of a block its path, its absolute offset and its block', () => {
    const registers = { STATUS: { offset: 4, access: 'ro' } } as const;
    const layout = layOutMap({ H2C: { offset: 0x1000, stride: 0x100, count: 2, registers } });
    expect(layout.map(({ name, path, offset, block }) => ({ name, path, offset, block }))).toEqual([
      { name: 'STATUS', path: 'H2C[0].STATUS', offset: 0x1004, block: { name: 'H2C', index: 0 } },
      { name: 'STATUS', path: 'H2C[1].STATUS', offset: 0x1104, block: { name: 'H2C', index: 1 } },
    ]);
  });

  test('accepts a field as one bit, as a range and in the long form', () => {
    const [register] = layOutMap({
      MODE: {
        offset: 0,
        access: 'rw',
        fields: {
          LONG: { bits: [11, 8], access: 'ro', doc: 'Long form.', values: { OFF: 0, ON: 1 } },
          RANGE: [7, 4, 'Range.'],
          BIT: [0, 'One bit.'],
          BARE: [1],
        },
      },
    });
    const field = { access: 'rw', values: [], doc: '' };
    expect(register!.fields).toEqual([
      { ...field, name: 'BIT', msb: 0, lsb: 0, width: 1, doc: 'One bit.' },
      { ...field, name: 'BARE', msb: 1, lsb: 1, width: 1 },
      { ...field, name: 'RANGE', msb: 7, lsb: 4, width: 4, doc: 'Range.' },
      {
        name: 'LONG',
        msb: 11,
        lsb: 8,
        width: 4,
        access: 'ro',
        doc: 'Long form.',
        values: [
          { name: 'OFF', value: 0 },
          { name: 'ON', value: 1 },
        ],
      },
    ]);
  });

  test('combines the reset values of fields into that of the register', () => {
    const [register] = layOutMap({
      VERSION: {
        offset: 0,
        width: 64,
        access: 'ro',
        fields: { HIGH: { bits: [63, 60], reset: 0xan }, LOW: { bits: [3, 0], reset: 5 } },
      },
    });
    expect(register!.reset).toBe(0xa000_0000_0000_0005n);
  });
});

test('the size of a block extends to the end of its last register, even if that is reserved', () => {
  const block = { PAD: { offset: 0xc, access: 'reserved' }, INDEX: { offset: 0, access: 'rw' } } as const;
  expect(blockSizeBytes(block)).toBe(16);
  expect(byOffset(block).map(({ name }) => name)).toEqual(['INDEX', 'PAD']);
});
