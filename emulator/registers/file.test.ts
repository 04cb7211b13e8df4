import { expect, test } from 'vitest';
import { RegisterFile, registerMap } from './index';

const MAP = registerMap({
  ID: { offset: 0, access: 'ro', reset: 0x4748_4331 },
  LEDS: { offset: 4, access: 'rw', fields: { RED: [0], GREEN: { bits: [1], reset: 1 } } },
  BASE: { offset: 8, width: 64, access: 'rw', reset: 0x8000_0000_0000_0001n },
});

test('a register file starts with the reset values of its map', () => {
  const file = new RegisterFile(MAP);
  expect([file.get('ID'), file.get('LEDS'), file.get('BASE')]).toEqual([0x4748_4331, 2, 0x8000_0000_0000_0001n]);
});

test('reset restores the reset value of every register and keeps the hooks', () => {
  const file = new RegisterFile(MAP);
  const values: number[] = [];
  file.onWrite('LEDS', ({ value }) => values.push(value));
  file.set('ID', 0);
  file.set('BASE', 0n);
  file.write(4, Uint8Array.of(1, 0, 0, 0));
  file.reset();
  expect([file.get('ID'), file.get('LEDS'), file.get('BASE')]).toEqual([0x4748_4331, 2, 0x8000_0000_0000_0001n]);
  file.write(4, Uint8Array.of(3, 0, 0, 0));
  expect(values).toEqual([1, 3]);
});

test('two register files of the same map share no state', () => {
  const first = new RegisterFile(MAP);
  const second = new RegisterFile(MAP);
  first.onWrite('LEDS', () => expect.unreachable());
  first.set('LEDS.RED', 1);
  second.write(4, Uint8Array.of(0, 0, 0, 0));
  expect([first.get('LEDS'), second.get('LEDS')]).toEqual([3, 0]);
});

test('a register file keeps no reference to the buffer of a write or a read', () => {
  const file = new RegisterFile(MAP);
  const data = Uint8Array.of(1, 0, 0, 0);
  file.write(4, data);
  data[0] = 2;
  expect(file.get('LEDS')).toBe(1);
  file.read(4, data);
  data[0] = 2;
  expect(file.get('LEDS')).toBe(1);
});

test('a read into a subarray leaves the rest of the buffer unchanged', () => {
  const file = new RegisterFile(MAP);
  const message = new Uint8Array(16).fill(0xee);
  file.read(0, message.subarray(5, 9));
  expect([...message.subarray(4, 10)]).toEqual([0xee, 0x31, 0x43, 0x48, 0x47, 0xee]);
});
