import { expect, test } from 'vitest';
import { loadNative } from '../native';
import { sharedMemory } from './shared-memory';

test('the card and a client that maps the file see the same bytes', () => {
  const native = loadNative();
  const memory = sharedMemory(native)(8192, 'card-memory');
  const client = native.map(memory.fd!, 0, 8192, true);
  const seen = new Uint8Array(client);
  memory.bytes[5000] = 0x5a;
  seen[6000] = 0xa5;
  expect([memory.bytes.length, seen[5000], memory.bytes[6000]]).toEqual([8192, 0x5a, 0xa5]);
  native.unmap(client);
  memory.close();
});

test('closing releases the pages and the descriptor', () => {
  const native = loadNative();
  const memory = sharedMemory(native)(4096, 'card-memory');
  memory.close();
  expect(memory.bytes.length).toBe(0);
  expect(() => native.map(memory.fd!, 0, 4096, true)).toThrow(/EBADF/);
});

test('a file that cannot be mapped is closed', () => {
  const native = loadNative();
  const closed: number[] = [];
  const failing = Object.create(native, {
    memfdCreate: { value: () => 77 },
    map: {
      value: () => {
        throw new Error('out of address space');
      },
    },
    close: { value: (fd: number) => closed.push(fd) },
  }) as typeof native;
  expect(() => sharedMemory(failing)(4096, 'card-memory')).toThrow('out of address space');
  expect(closed).toEqual([77]);
});
