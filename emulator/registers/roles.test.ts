import { expect, test } from 'vitest';
import { bitsWithRole, cHeader, markdownTable, registerMap, RegisterMapError, sharedBits } from '.';

const MAP = registerMap({
  CONTROL: {
    offset: 0,
    access: 'rw',
    fields: {
      GO: { bits: [0], access: 'w1s', card: 'clears' },
      MODE: [2, 1],
      LEVEL: { bits: [31, 30], card: 'changes' },
    },
  },
  STATUS: {
    offset: 4,
    access: 'ro',
    fields: { BUSY: { bits: [0], role: 'status' }, OVERRUN: { bits: [8], access: 'w1c', role: 'error', doc: 'Lost.' } },
  },
  STATUS_RC: { offset: 8, aliasOf: 'STATUS', access: 'rc' },
  FAILED: { offset: 0x10, width: 64, access: 'ro', role: 'error' },
});

test('a register map tells which bits are errors and which are status, not counting aliases', () => {
  const named = (role: 'error' | 'status') =>
    bitsWithRole(MAP.registers, role).map(({ register, field, mask }) => [register.path, field?.name, mask]);
  expect(named('error')).toEqual([
    ['STATUS', 'OVERRUN', 0x100n],
    ['FAILED', undefined, 0xffff_ffff_ffff_ffffn],
  ]);
  expect(named('status')).toEqual([['STATUS', 'BUSY', 1n]]);
});

test('a register map tells which bits the driver and the card share', () => {
  expect(MAP.registers.map(sharedBits)).toEqual([0xc000_0001n, 0n, 0n, 0n]);
});

test('an error and a bit that the card clears are marked in the C header and in the table', () => {
  expect(cHeader(MAP, { prefix: 'T' })).toContain('[8] w1c. Error. Lost. */');
  expect(markdownTable(MAP)).toContain('| `STATUS.OVERRUN` | 8 | w1c | 0 | Error. Lost. |');
  expect(markdownTable(MAP)).toContain('| `CONTROL.GO` | 0 | w1s, card clears | 0 |  |');
});

test('a role that does not exist is refused', () => {
  const spec = { R: { offset: 0, access: 'ro', role: 'eror' as 'error' } } as const;
  expect(() => registerMap(spec)).toThrow(
    new RegisterMapError("R has the role 'eror'; there are error, status, data."),
  );
});
