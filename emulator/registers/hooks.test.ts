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
  test('runs after the access rule and gets the previous value and the written data', () => {
    const file = new RegisterFile(MAP);
    const writes: RegisterWrite<number>[] = [];
    file.onWrite('STATUS', (write) => {
      writes.push(write);
      expect(file.get('STATUS')).toBe(write.value);
    });
    file.write(4, bytes(0x0f, 0x01, 0, 0x80));
    expect(writes).toEqual([{ value: 0xf0, previous: 0xff, data: 0x8000_010f, mask: 0xffff_ffff }]);
  });

  test('runs for a write that changes nothing', () => {
    const file = new RegisterFile(MAP);
    const values: number[] = [];
    file.onWrite('DOORBELL', ({ value }) => values.push(value));
    file.write(0, bytes(5, 0, 0, 0));
    file.write(0, bytes(5, 0, 0, 0));
    expect(values).toEqual([5, 5]);
  });

  test('gets the written byte lanes as its mask, and no data outside them', () => {
    const file = new RegisterFile(MAP);
    const writes: RegisterWrite<number>[] = [];
    file.onWrite('STATUS', (write) => writes.push(write));
    file.write(6, bytes(0xaa, 0xbb));
    expect(writes).toEqual([{ value: 0xff, previous: 0xff, data: 0xbbaa_0000, mask: 0xffff_0000 }]);
  });

  test('of a 64-bit register runs once for a 64-bit write', () => {
    const file = new RegisterFile(MAP);
    const writes: RegisterWrite<bigint>[] = [];
    file.onWrite('BASE', (write) => writes.push(write));
    file.write(8, bytes(1, 2, 3, 4, 5, 6, 7, 0x88));
    const value = 0x8807_0605_0403_0201n;
    expect(writes).toEqual([{ value, previous: 0n, data: value, mask: 0xffff_ffff_ffff_ffffn }]);
  });

  test('of a 64-bit register runs for each half that is written', () => {
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

  test('of the lower of two registers runs before the upper one is written', () => {
    const file = new RegisterFile(MAP);
    const seen: string[] = [];
    file.onWrite('DOORBELL', () => seen.push(`DOORBELL, STATUS is ${file.get('STATUS')}`));
    file.onWrite('STATUS', ({ value }) => seen.push(`STATUS, now ${value}`));
    file.write(0, bytes(1, 0, 0, 0, 0xff, 0, 0, 0));
    expect(seen).toEqual(['DOORBELL, STATUS is 255', 'STATUS, now 0']);
  });

  test('of each small register in a word gets its own bits, in order of offset', () => {
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

  test('does not run for a write to another register', () => {
    const file = new RegisterFile(MAP);
    file.onWrite('LEVEL', () => expect.unreachable());
    file.write(0x10, bytes(1));
    file.write(0x12, bytes(1, 2));
    file.write(0x8, bytes(1, 2, 3, 4));
  });

  test('can change the register, to model a self-clearing bit', () => {
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

  test('does not run when the card itself sets the register, nor on reset', () => {
    const file = new RegisterFile(MAP);
    file.onWrite('KIND', () => expect.unreachable());
    file.set('KIND', 1);
    file.reset();
  });
});

describe('a read hook', () => {
  test('supplies the value of a read and leaves the stored state unchanged', () => {
    const file = new RegisterFile(MAP);
    file.onRead('STATUS', () => 0x8765_4321);
    expect(readBytes(file, 4, 4)).toEqual([0x21, 0x43, 0x65, 0x87]);
    expect(file.get('STATUS')).toBe(0xff);
  });

  test('supplies only the byte lanes of a partial read', () => {
    const file = new RegisterFile(MAP);
    file.onRead('STATUS', () => 0x8765_4321);
    expect(readBytes(file, 6, 1)).toEqual([0x65]);
    expect(readBytes(file, 6, 2)).toEqual([0x65, 0x87]);
  });

  test('of a 64-bit register runs once for a 64-bit read, and once for each 32-bit half', () => {
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

  test('of a small register supplies only its own bytes of the word', () => {
    const file = new RegisterFile(MAP);
    file.set('KIND', 1);
    file.set('LENGTH', 0x403);
    file.onRead('LEVEL', () => 0xffee);
    expect(readBytes(file, 0x10, 4)).toEqual([1, 0xee, 3, 4]);
  });

  test('does not run when another register of the word is read', () => {
    const file = new RegisterFile(MAP);
    file.onRead('LEVEL', () => expect.unreachable());
    expect(readBytes(file, 0x10, 1)).toEqual([0]);
    expect(readBytes(file, 0x12, 2)).toEqual([0, 0]);
  });

  test('gets the stored value before a clear-on-read register is cleared', () => {
    const file = new RegisterFile(MAP);
    file.set('EVENTS64', 1n << 63n);
    file.onRead('EVENTS', (stored) => stored | 0x100);
    file.onRead('EVENTS64', (stored) => stored | 1n);
    expect(readBytes(file, 0x14, 4)).toEqual([7, 1, 0, 0]);
    expect(readBytes(file, 0x18, 8)).toEqual([1, 0, 0, 0, 0, 0, 0, 0x80]);
    expect([file.get('EVENTS'), file.get('EVENTS64')]).toEqual([0, 0n]);
  });

  test('gets what the hook added before it returned', () => {
    const file = new RegisterFile(MAP);
    file.onRead('KIND', (stored) => stored + 1);
    file.onRead('KIND', (stored) => stored * 10);
    expect(readBytes(file, 0x10, 1)).toEqual([10]);
  });

  test('does not make write-only bits readable', () => {
    const file = new RegisterFile(MAP);
    file.onRead('DOORBELL', () => 0xffff_ffff);
    expect(readBytes(file, 0, 4)).toEqual([0, 0, 0, 0]);
  });

  test('does not run when the card reads its own state', () => {
    const file = new RegisterFile(MAP);
    file.onRead('KIND', () => expect.unreachable());
    expect(file.get('KIND')).toBe(0);
  });
});
