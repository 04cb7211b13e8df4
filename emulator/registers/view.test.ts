import { describe, expect, test } from 'vitest';
import { registerBlock, RegisterFile, registerMap } from './index';

const CHANNEL = registerBlock({
  CONTROL: { offset: 0x0, access: 'rw', fields: { RUN: [0], MODE: [7, 4] } },
  STATUS: { offset: 0x4, access: 'ro', fields: { BUSY: [0], CODE: [31, 28] } },
  BASE: { offset: 0x8, width: 64, access: 'rw', fields: { LOW: [11, 0], PAGE: [63, 12] } },
});

const MAP = registerMap({
  ID: { offset: 0, access: 'ro', reset: 0xf748_4331 },
  TAG: { offset: 6, width: 16, access: 'rw' },
  H2C: { offset: 0x100, stride: 0x40, count: 2, registers: CHANNEL },
});

describe('the hardware side of a register file', () => {
  test('reads registers of every width, whatever their access rules', () => {
    const file = new RegisterFile(MAP);
    file.set('TAG', 0xbeef);
    file.set('H2C[0].BASE', 0xffff_ffff_0000_0001n);
    expect(file.get('ID')).toBe(0xf748_4331);
    expect(file.get('TAG')).toBe(0xbeef);
    expect(file.get('H2C[0].BASE')).toBe(0xffff_ffff_0000_0001n);
  });

  test('sets a field and leaves its neighbours unchanged', () => {
    const file = new RegisterFile(MAP);
    file.set('H2C[1].STATUS', 0xffff_fff0);
    file.set('H2C[1].STATUS.CODE', 0x8);
    file.set('H2C[1].STATUS.BUSY', 1);
    expect(file.get('H2C[1].STATUS')).toBe(0x8fff_fff1);
    expect(file.get('H2C[1].STATUS.CODE')).toBe(8);
    expect(file.get('H2C[0].STATUS')).toBe(0);
  });

  test('sets a field that spans both halves of a 64-bit register', () => {
    const file = new RegisterFile(MAP);
    file.set('H2C[0].BASE.LOW', 0x123n);
    file.set('H2C[0].BASE.PAGE', 0xf_edcb_a987_6543n);
    expect(file.get('H2C[0].BASE')).toBe(0xfedc_ba98_7654_3123n);
    expect(file.get('H2C[0].BASE.PAGE')).toBe(0xf_edcb_a987_6543n);
  });

  test('refuses a value that does not fit, and the error gives the range', () => {
    const file = new RegisterFile(MAP);
    expect(() => file.set('H2C[0].CONTROL.MODE', 16)).toThrow(
      'Cannot set H2C[0].CONTROL.MODE to 16 (number): it has 4 bits and takes a whole number from 0 to 0xf.',
    );
    expect(() => file.set('ID', -1)).toThrow(RangeError);
    expect(() => file.set('ID', 0.5)).toThrow(RangeError);
    expect(() => file.set('ID', Number.NaN)).toThrow(RangeError);
    expect(() => file.set('H2C[0].BASE', 1n << 64n)).toThrow(RangeError);
    expect(() => (file as RegisterFile).set('H2C[0].BASE', 1)).toThrow('a bigint from 0 to');
    expect(() => (file as RegisterFile).set('ID', 1n)).toThrow('a whole number from 0 to');
  });

  test('refuses an unknown register, and the error lists the known ones', () => {
    const file: RegisterFile = new RegisterFile(MAP);
    expect(() => file.get('H2C[2].STATUS')).toThrow(
      "There is no 'H2C[2].STATUS' among these registers: ID, TAG, H2C[0]",
    );
    expect(() => file.onWrite('H2C[0].STATUS.BUSY', () => {})).toThrow(
      'H2C[0].STATUS.BUSY is a field: name its register, H2C[0].STATUS.',
    );
  });
});

describe('a view of one block', () => {
  test('shares its state with the file and has no access to other blocks', () => {
    const file = new RegisterFile(MAP);
    const second = file.block('H2C', 1);
    second.set('CONTROL.RUN', 1);
    expect(file.get('H2C[1].CONTROL.RUN')).toBe(1);
    expect(file.get('H2C[0].CONTROL.RUN')).toBe(0);
    file.set('H2C[1].BASE', 5n);
    expect(second.get('BASE')).toBe(5n);
    // @ts-expect-error a register of the map, not of the block
    expect(() => second.get('ID')).toThrow(RangeError);
  });

  test('runs hooks only for the registers of its block', () => {
    const file = new RegisterFile(MAP);
    const values: number[] = [];
    file.block('H2C', 1).onWrite('CONTROL', ({ value }) => values.push(value));
    file.write(0x100, Uint8Array.of(0x11, 0, 0, 0));
    file.write(0x140, Uint8Array.of(0x21, 0, 0, 0));
    expect(values).toEqual([0x21]);
  });

  test('is refused for a block that does not exist, and the error lists those that do', () => {
    const file = new RegisterFile(MAP);
    expect(() => file.block('H2C', 2)).toThrow('There is no block H2C[2]: the map has H2C[0..1].');
  });
});

describe('a register handle', () => {
  test('reads and sets the register and its fields', () => {
    const file = new RegisterFile(MAP);
    const status = file.block('H2C', 0).register('STATUS');
    status.value = 0x2000_0000;
    status.set('BUSY', 1);
    expect(status.value).toBe(0x2000_0001);
    expect(status.get('CODE')).toBe(2);
    expect(file.get('H2C[0].STATUS')).toBe(0x2000_0001);
  });

  test('has bigint values for a 64-bit register', () => {
    const base = new RegisterFile(MAP).register('H2C[1].BASE');
    base.value = 0x1_0000_0000n;
    base.set('LOW', 0xfffn);
    expect(base.value).toBe(0x1_0000_0fffn);
  });

  test('refuses a value that does not fit', () => {
    const tag = new RegisterFile(MAP).register('TAG');
    expect(() => (tag.value = 0x1_0000)).toThrow('Cannot set TAG to 65536');
  });

  test('reads the reset value after a reset', () => {
    const file = new RegisterFile(MAP);
    const id = file.register('ID');
    id.value = 1;
    file.reset();
    expect(id.value).toBe(0xf748_4331);
  });
});
