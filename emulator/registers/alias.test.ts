import { describe, expect, expectTypeOf, test } from 'vitest';
import {
  cHeader,
  type MapSpec,
  markdownTable,
  RegisterFile,
  registerMap,
  RegisterMapError,
  type RegisterWrite,
} from '.';

const MAP = registerMap({
  CONTROL: {
    offset: 0x0,
    access: 'rw',
    reset: 0x2,
    fields: { RUN: { bits: [0], card: 'clears', doc: 'Runs.' }, MODE: [5, 4], BUSY: { bits: [1], access: 'ro' } },
  },
  CONTROL_W1S: { offset: 0x4, aliasOf: 'CONTROL', access: 'wo1s', doc: 'Sets bits.' },
  CONTROL_W1C: { offset: 0x8, aliasOf: 'CONTROL', access: 'w1c' },
  EVENTS: { offset: 0x10, width: 64, access: 'w1c' },
  EVENTS_RC: { offset: 0x18, aliasOf: 'EVENTS', access: 'rc', doc: 'Cleared by reading.' },
  PORT: {
    offset: 0x100,
    stride: 0x10,
    count: 2,
    registers: {
      OUT: { offset: 0x0, width: 16, access: 'rw' },
      SET: { offset: 0x4, aliasOf: 'OUT', access: 'wo1s' },
      CLEAR: { offset: 0x6, aliasOf: 'OUT', access: 'wo1c' },
    },
  },
});

function setUp() {
  const file = new RegisterFile(MAP);
  const write = (offset: number, value: number) => {
    const data = new Uint8Array(4);
    new DataView(data.buffer).setUint32(0, value, true);
    file.write(offset, data);
  };
  const read = (offset: number, sizeBytes = 4) => {
    const data = new Uint8Array(sizeBytes);
    file.read(offset, data);
    return data.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
  };
  return { file, write, read };
}

describe('an alias', () => {
  test('changes its register by its own access kind, and keeps away from bits that are read-only there', () => {
    const { file, write, read } = setUp();
    write(0x4, 0x21);
    expect(file.get('CONTROL')).toBe(0x23);
    write(0x8, 0x23);
    expect(file.get('CONTROL')).toBe(0x02);
    write(0x8, 0);
    expect([read(0x0), read(0x4), read(0x8)]).toEqual([2n, 0n, 2n]);
  });

  test('that is cleared by reading shows a 64-bit register once, and clears it', () => {
    const { file, read } = setUp();
    file.set('EVENTS', 0x8000_0000_0000_0001n);
    expect(read(0x18, 8)).toBe(0x8000_0000_0000_0001n);
    expect(read(0x10, 8)).toBe(0n);
    file.set('EVENTS', 0x1_0000_0001n);
    expect([read(0x1c), read(0x10, 8)]).toEqual([1n, 1n]);
  });

  test('has the fields and the value of its register on the side of the card, with their types', () => {
    const { file } = setUp();
    file.set('CONTROL_W1S.MODE', 3);
    expect([file.get('CONTROL'), file.get('CONTROL_W1C.MODE')]).toEqual([0x32, 3]);
    expectTypeOf(file.get('EVENTS_RC')).toEqualTypeOf<bigint>();
    expectTypeOf(file.get('CONTROL_W1C.MODE')).toEqualTypeOf<number>();
    // @ts-expect-error -- CONTROL has no such field
    expect(() => file.get('CONTROL_W1C.NONE')).toThrow(RangeError);
  });

  test('is of the register of its own block, also when one access covers two aliases', () => {
    const { file, write } = setUp();
    file.set('PORT[1].OUT', 0x00f0);
    write(0x114, 0x0030_0003);
    expect([file.get('PORT[0].OUT'), file.get('PORT[1].OUT')]).toEqual([0, 0x00c3]);
  });

  test('calls the hooks of its register once, with the resulting value', () => {
    const { file, write, read } = setUp();
    const writes: RegisterWrite<number>[] = [];
    const changes: unknown[] = [];
    file.onWrite('CONTROL', (one) => writes.push(one));
    file.onChange('CONTROL', (change) => changes.push(change));
    file.onRead('CONTROL', (stored) => stored | 2);
    write(0x4, 1);
    write(0x4, 1);
    expect(writes).toEqual([
      { value: 3, previous: 2, data: 1, mask: 0xffff_ffff, alias: 'CONTROL_W1S' },
      { value: 3, previous: 3, data: 1, mask: 0xffff_ffff, alias: 'CONTROL_W1S' },
    ]);
    expect(changes).toEqual([writes[0]].map((one) => expect.objectContaining({ value: one!.value, previous: 2 })));
    file.set('CONTROL.BUSY', 0);
    expect(read(0x8)).toBe(3n);
    expect(() => file.onWrite('CONTROL_W1S', () => {})).toThrow(
      'CONTROL_W1S is an alias of CONTROL, whose hooks run for it too: add the hook there.',
    );
  });

  test('calls the change hooks of a 64-bit register when reading has cleared it', () => {
    const { file, read } = setUp();
    const changes: unknown[] = [];
    file.onChange('EVENTS', ({ value, previous }) => changes.push([value, previous]));
    file.set('EVENTS', 5n);
    read(0x18, 8);
    read(0x18, 8);
    expect(changes).toEqual([[0n, 5n]]);
  });

  test('is a line of the C header and of the table, without fields', () => {
    const header = cHeader(MAP, { prefix: 'T' });
    expect(header).toContain('/* CONTROL_W1S: 32 bits, wo1s. Alias of CONTROL, with the fields of that. Sets bits. */');
    expect(header).toContain('[0] rw, card clears. Runs.');
    expect(header).not.toContain('T_CONTROL_W1S_RUN');
    const table = markdownTable(MAP);
    expect(table).toContain('| `0x018` | `EVENTS_RC` | 63:0 | rc |  | Alias of `EVENTS`. Cleared by reading. |');
    expect(table).toContain('| `0x06` | `CLEAR` | 15:0 | wo1c |  | Alias of `OUT`. |');
    expect(table).not.toContain('CONTROL_W1S.RUN');
  });

  test.each<[string, MapSpec[string], string]>([
    [
      'of what does not exist',
      { offset: 4, access: 'w1s', aliasOf: 'CONTRL' },
      "X is an alias of 'CONTRL', and there is no such register beside it; the nearest are CONTROL, WIDE.",
    ],
    ['of itself', { offset: 4, access: 'w1s', aliasOf: 'X' }, "X is an alias of 'X', which is itself."],
    [
      'of an alias',
      { offset: 4, access: 'w1s', aliasOf: 'SET' },
      "X is an alias of 'SET', which is an alias itself: name the register, CONTROL.",
    ],
    [
      'of another width',
      { offset: 4, access: 'w1s', aliasOf: 'WIDE', width: 32 },
      'X has 32 bits and is an alias of WIDE, which has 64: leave its width out.',
    ],
    [
      'at an offset that is no multiple of its size',
      { offset: 4, access: 'w1s', aliasOf: 'WIDE' },
      'X is misaligned: 64 bits at 0x4, which is not a multiple of 8.',
    ],
    [
      'with fields of its own',
      { offset: 4, access: 'w1s', aliasOf: 'CONTROL', fields: {} },
      'X is an alias of CONTROL, which has the fields: leave it out here.',
    ],
    [
      'with an access kind that does not exist',
      { offset: 4, access: 'w2s' as 'w1s', aliasOf: 'CONTROL' },
      "X has access 'w2s', which is none; the nearest are w1s, w0s, ws.",
    ],
  ])('%s is refused', (_, x, message) => {
    const spec: MapSpec = {
      CONTROL: { offset: 0, access: 'rw' },
      SET: { offset: 0x10, access: 'w1s', aliasOf: 'CONTROL' },
      WIDE: { offset: 0x18, access: 'rw', width: 64 },
      X: x,
    };
    expect(() => registerMap(spec)).toThrow(new RegisterMapError(message));
  });
});
