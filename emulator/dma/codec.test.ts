import { expect, it } from 'vitest';
import { registerBlock } from '../registers';
import { structureCodec } from '.';

const LAYOUT = registerBlock({
  FLAGS: { offset: 0, width: 8, access: 'rw', fields: { KIND: [6, 4], LAST: [0] } },
  TAG: { offset: 2, width: 16, access: 'rw', fields: { LOW: [3, 0], HIGH: [15, 8] } },
  CONTROL: { offset: 4, access: 'rw', fields: { TOP: [31], LENGTH: [25, 0] } },
  ADDRESS: { offset: 8, width: 64, access: 'rw' },
  PACKED: { offset: 16, width: 64, access: 'rw', fields: { ID: [63, 48], POINTER: [47, 0] } },
});
const NAMES = {
  kind: 'FLAGS.KIND',
  last: 'FLAGS.LAST',
  tag: 'TAG',
  high: 'TAG.HIGH',
  top: 'CONTROL.TOP',
  lengthBytes: 'CONTROL.LENGTH',
  address: 'ADDRESS',
  id: 'PACKED.ID',
  pointer: 'PACKED.POINTER',
} as const;

it('a codec reads back what it has encoded: words and fields of all widths, each in its place', () => {
  const codec = structureCodec(LAYOUT, NAMES, 32);
  const values = {
    kind: 5,
    last: true,
    tag: 0xab_0c,
    top: 1,
    lengthBytes: 0x3ff_fffe,
    address: 0x1f_ffff_ffff_fff0,
    id: 0xfedc,
    pointer: 0x8000_1234_5678n,
  };
  const bytes = codec.encode(values);
  expect([codec.sizeBytes, codec.strideBytes, bytes.length]).toEqual([24, 32, 24]);
  expect(Buffer.from(bytes).toString('hex')).toBe('51000cab' + 'feffff83' + 'f0ffffffffff1f00' + '785634120080dcfe');
  const structure = codec.in(new DataView(bytes.buffer));
  const read = Object.fromEntries(Object.keys(NAMES).map((name) => [name, structure[name as keyof typeof NAMES]]));
  expect(read).toEqual({ ...values, last: 1, high: 0xab, pointer: 0x8000_1234_5678 });
  expect(structure.exact('pointer')).toBe(0x8000_1234_5678n);
});

it('a codec of a name that the layout does not have is refused', () => {
  expect(() => structureCodec(LAYOUT, { length: 'CONTROL.LENGHT' as 'CONTROL.LENGTH' })).toThrow(
    "There is no 'CONTROL.LENGHT'",
  );
});
