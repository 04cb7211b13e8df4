import { describe, expect, test } from 'vitest';
import { RegisterFile, registerMap, type RegisterWrite } from './index';

const MAP = registerMap({
  DOORBELL: { offset: 0x0, access: 'wo', fields: { PRODUCER: [15, 0] } },
  STATUS: { offset: 0x4, access: 'w1c', reset: 0xff },
  BASE: { offset: 0x8, width: 64, access: 'rw' },
  KIND: { offset: 0x10, width: 8, access: 'rw' },
  LEVEL: { offset: 0x11, width: 8, access: 'rw' },
  LENGTH: { offset: 0x12, width: 16, access: 'rw' },
  EVENTS: { offset: 0x14, access: 'rc', reset: 7 },
  EVENTS64: { offset: 0x18, width: 64, access: 'rc' },
});

const bytes = (...values: number[]) => Uint8Array.from(values);

function readBytes(file: RegisterFile, offset: number, size: number): number[] {
  const data = new Uint8Array(size);
  file.read(offset, data);
  return [...data];
}

describe('a write hook', () => {
  test('is told after the access rule, with what was there before and what the bus drove', () => {
    const file = new RegisterFile(MAP);
    const writes: RegisterWrite<number>[] = [];
    file.onWrite('STATUS', (write) => {
      writes.push(write);
      expect(file.get('STATUS')).toBe(write.value);
    });
    file.write(4, bytes(0x0f, 0x01, 0, 0x80));
    expect(writes).toEqual([{ value: 0xf0, previous: 0xff, data: 0x8000_010f, mask: 0xffff_ffff }]);
  });

  test('is told of a write that changes nothing', () => {
    const file = new RegisterFile(MAP);
    const values: number[] = [];
    file.onWrite('DOORBELL', ({ value }) => values.push(value));
    file.write(0, bytes(5, 0, 0, 0));
    file.write(0, bytes(5, 0, 0, 0));
    expect(values).toEqual([5, 5]);
  });

  test('gets the bits of the byte lanes that were written as its mask, and no data outside them', () => {
    const file = new RegisterFile(MAP);
    const writes: RegisterWrite<number>[] = [];
    file.onWrite('STATUS', (write) => writes.push(write));
    file.write(6, bytes(0xaa, 0xbb));
    expect(writes).toEqual([{ value: 0xff, previous: 0xff, data: 0xbbaa_0000, mask: 0xffff_0000 }]);
  });

  test('of a 64-bit register is told once of one 64-bit write', () => {
    const file = new RegisterFile(MAP);
    const writes: RegisterWrite<bigint>[] = [];
    file.onWrite('BASE', (write) => writes.push(write));
    file.write(8, bytes(1, 2, 3, 4, 5, 6, 7, 0x88));
    const value = 0x8807_0605_0403_0201n;
    expect(writes).toEqual([{ value, previous: 0n, data: value, mask: 0xffff_ffff_ffff_ffffn }]);
  });

  test('of a 64-bit register is told of each half that is written', () => {
    const file = new RegisterFile(MAP);
    const writes: RegisterWrite<bigint>[] = [];
    file.onWrite('BASE', (write) => writes.push(write));
    file.write(8, bytes(1, 0, 0, 0x80));
    file.write(12, bytes(2, 0, 0, 0x80));
    const low = 0x8000_0001n;
    const both = 0x8000_0002_8000_0001n;
    expect(writes).toEqual([
      { value: low, previous: 0n, data: low, mask: 0xffff_ffffn },
      { value: both, previous: low, data: 0x8000_0002_0000_0000n, mask: 0xffff_ffff_0000_0000n },
    ]);
  });

  test('of the lower of two registers is told before the upper one is written', () => {
    const file = new RegisterFile(MAP);
    const seen: string[] = [];
    file.onWrite('DOORBELL', () => seen.push(`DOORBELL, STATUS is ${file.get('STATUS')}`));
    file.onWrite('STATUS', ({ value }) => seen.push(`STATUS, now ${value}`));
    file.write(0, bytes(1, 0, 0, 0, 0xff, 0, 0, 0));
    expect(seen).toEqual(['DOORBELL, STATUS is 255', 'STATUS, now 0']);
  });

  test('of small registers in one word is told by rising offset, each with its own bits', () => {
    const file = new RegisterFile(MAP);
    const seen: [string, number, number][] = [];
    file.onWrite('LENGTH', ({ value, mask }) => seen.push(['LENGTH', value, mask]));
    file.onWrite('KIND', ({ value, mask }) => seen.push(['KIND', value, mask]));
    file.onWrite('LEVEL', ({ value, mask }) => seen.push(['LEVEL', value, mask]));
    file.write(0x10, bytes(1, 2, 3, 0x84));
    file.write(0x12, bytes(5));
    expect(seen).toEqual([
      ['KIND', 1, 0xff],
      ['LEVEL', 2, 0xff],
      ['LENGTH', 0x8403, 0xffff],
      ['LENGTH', 0x8405, 0x00ff],
    ]);
  });

  test('is not told of a write to another register', () => {
    const file = new RegisterFile(MAP);
    file.onWrite('LEVEL', () => expect.unreachable());
    file.write(0x10, bytes(1));
    file.write(0x12, bytes(1, 2));
    file.write(0x8, bytes(1, 2, 3, 4));
  });

  test('may change the register, as a self-clearing bit does', () => {
    const file = new RegisterFile(MAP);
    file.onWrite('KIND', () => file.set('KIND', 0));
    file.write(0x10, bytes(1));
    expect(file.get('KIND')).toBe(0);
  });

  test('runs after the hooks added before it', () => {
    const file = new RegisterFile(MAP);
    const order: number[] = [];
    file.onWrite('KIND', () => order.push(1));
    file.onWrite('KIND', () => order.push(2));
    file.write(0x10, bytes(1));
    expect(order).toEqual([1, 2]);
  });

  test('is not told of what the card itself sets, nor of reset', () => {
    const file = new RegisterFile(MAP);
    file.onWrite('KIND', () => expect.unreachable());
    file.set('KIND', 1);
    file.reset();
  });
});

describe('a read hook', () => {
  test('supplies what the register drives, and leaves its state alone', () => {
    const file = new RegisterFile(MAP);
    file.onRead('STATUS', () => 0x8765_4321);
    expect(readBytes(file, 4, 4)).toEqual([0x21, 0x43, 0x65, 0x87]);
    expect(file.get('STATUS')).toBe(0xff);
  });

  test('has the lanes of a partial read cut out of its value', () => {
    const file = new RegisterFile(MAP);
    file.onRead('STATUS', () => 0x8765_4321);
    expect(readBytes(file, 6, 1)).toEqual([0x65]);
    expect(readBytes(file, 6, 2)).toEqual([0x65, 0x87]);
  });

  test('of a 64-bit register is asked once for a 64-bit read, and for each half otherwise', () => {
    const file = new RegisterFile(MAP);
    let reads = 0;
    file.onRead('BASE', () => {
      reads++;
      return 0x8877_6655_4433_2211n;
    });
    expect(readBytes(file, 8, 8)).toEqual([0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88]);
    expect(reads).toBe(1);
    expect(readBytes(file, 8, 4)).toEqual([0x11, 0x22, 0x33, 0x44]);
    expect(readBytes(file, 12, 4)).toEqual([0x55, 0x66, 0x77, 0x88]);
    expect(reads).toBe(3);
  });

  test('of a small register drives only its own bytes of the word', () => {
    const file = new RegisterFile(MAP);
    file.set('KIND', 1);
    file.set('LENGTH', 0x403);
    file.onRead('LEVEL', () => 0xffee);
    expect(readBytes(file, 0x10, 4)).toEqual([1, 0xee, 3, 4]);
  });

  test('is not asked when another register of the word is read', () => {
    const file = new RegisterFile(MAP);
    file.onRead('LEVEL', () => expect.unreachable());
    expect(readBytes(file, 0x10, 1)).toEqual([0]);
    expect(readBytes(file, 0x12, 2)).toEqual([0, 0]);
  });

  test('is given the stored value, which the read then clears if the rule says so', () => {
    const file = new RegisterFile(MAP);
    file.set('EVENTS64', 1n << 63n);
    file.onRead('EVENTS', (stored) => stored | 0x100);
    file.onRead('EVENTS64', (stored) => stored | 1n);
    expect(readBytes(file, 0x14, 4)).toEqual([7, 1, 0, 0]);
    expect(readBytes(file, 0x18, 8)).toEqual([1, 0, 0, 0, 0, 0, 0, 0x80]);
    expect([file.get('EVENTS'), file.get('EVENTS64')]).toEqual([0, 0n]);
  });

  test('that is added later gets what the earlier one returned', () => {
    const file = new RegisterFile(MAP);
    file.onRead('KIND', (stored) => stored + 1);
    file.onRead('KIND', (stored) => stored * 10);
    expect(readBytes(file, 0x10, 1)).toEqual([10]);
  });

  test('does not show through bits that cannot be read', () => {
    const file = new RegisterFile(MAP);
    file.onRead('DOORBELL', () => 0xffff_ffff);
    expect(readBytes(file, 0, 4)).toEqual([0, 0, 0, 0]);
  });

  test('is not asked when the card looks at its own state', () => {
    const file = new RegisterFile(MAP);
    file.onRead('KIND', () => expect.unreachable());
    expect(file.get('KIND')).toBe(0);
  });
});
