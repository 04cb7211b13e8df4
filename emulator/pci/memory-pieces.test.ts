/** Card memory beyond what one array can be: BARs of 8 GiB and more, of which only what is touched costs anything. */
import { describe, expect, it } from 'vitest';
import { loadNative } from '../native';
import { type CardMemory, MemoryBar, privateMemory } from './memory-bar';
import { fillFile, sharedMemory } from './shared-memory';

const BYTES = 64 * 2 ** 30;
const TEXT = Uint8Array.from('across two pieces', (letter) => letter.charCodeAt(0));

describe.each([
  ['private', privateMemory, false],
  ['mappable', sharedMemory(), true],
])('%s card memory of 64 GiB', (_, allocate, isMappable) => {
  it('is read and written anywhere, reads 0 where nothing was written, and names its way of access', () => {
    let memory: CardMemory | undefined;
    const bar = new MemoryBar(() => (memory = allocate(BYTES, 'large')), isMappable);
    for (const at of [0, 2 ** 32 - 5, 2 ** 33 - 5, BYTES - TEXT.length]) {
      const seen = new Uint8Array(TEXT.length).fill(1);
      bar.read(at, seen);
      expect(seen).toEqual(new Uint8Array(TEXT.length));
      bar.write(at, TEXT);
      bar.read(at, seen);
      expect(seen).toEqual(TEXT);
    }
    expect(() => bar.bytes).toThrow("has no 'bytes': one array has at most 4294967296. Use read(offset, data)");
    memory!.clear!();
    const cleared = new Uint8Array(TEXT.length).fill(1);
    bar.read(2 ** 33 - 5, cleared);
    expect(cleared).toEqual(new Uint8Array(TEXT.length));
    bar.close();
  });
});

it('a large file is filled only where something was written, and a small one everywhere', () => {
  const native = loadNative();
  const memory = sharedMemory(native)(BYTES, 'large');
  memory.pieces!.write(2 ** 33, TEXT);
  fillFile(native, memory.fd!, 0, BYTES, 0xff);
  const data = new Uint8Array(2);
  memory.pieces!.read(2 ** 33, data);
  expect([...data]).toEqual([0xff, 0xff]);
  expect(native.nextExtent(memory.fd!, 0)).toEqual([2 ** 33, 2 ** 33 + 4096]);
  memory.close();
});
