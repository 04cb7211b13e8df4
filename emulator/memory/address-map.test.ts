import { describe, expect, it } from 'vitest';
import { AddressMap, AddressMapError, type DmaMapping } from '.';

const mapping = (iova: bigint, sizeBytes: bigint): DmaMapping => ({
  iova,
  sizeBytes,
  readable: true,
  writable: true,
  backing: { kind: 'bytes', bytes: new Uint8Array(Number(sizeBytes)) },
});

describe('AddressMap', () => {
  it('finds the mapping that holds an address, its first and its last byte included', () => {
    const map = new AddressMap();
    const low = mapping(0x1000n, 0x1000n);
    const high = mapping(0x3000n, 0x1000n);
    map.add(high);
    map.add(low);
    expect(map.find(0x0fff)).toBeUndefined();
    expect(map.find(0x1000)?.mapping).toBe(low);
    expect(map.find(0x1fff)?.mapping).toBe(low);
    expect(map.find(0x2000)).toBeUndefined();
    expect(map.find(0x3fff)?.mapping).toBe(high);
    expect(map.find(0x4000)).toBeUndefined();
  });

  it('agrees with a plain list over thousands of random maps, unmaps and look-ups', () => {
    const map = new AddressMap();
    const pages = new Map<number, DmaMapping>();
    let seed = 1;
    const random = (below: number): number => (seed = (seed * 48_271) % 0x7fff_ffff) % below;
    for (let step = 0; step < 5000; step++) {
      const page = random(64);
      if (random(2) === 0 && !pages.has(page)) {
        const added = mapping(BigInt(page) * 4096n, 4096n);
        map.add(added);
        pages.set(page, added);
      } else {
        const removed = map.remove(BigInt(page) * 4096n, 4096n);
        expect(removed).toEqual(pages.has(page) ? [pages.get(page)] : []);
        pages.delete(page);
      }
      const probe = random(64 * 4096);
      expect(map.find(probe)?.mapping).toBe(pages.get(Math.floor(probe / 4096)));
    }
    expect(map.size).toBe(pages.size);
  });

  it('removes every mapping inside a range at once, and none is fine', () => {
    const map = new AddressMap();
    map.add(mapping(0x1000n, 0x1000n));
    map.add(mapping(0x2000n, 0x1000n));
    expect(map.remove(0n, 2n ** 64n)).toHaveLength(2);
    expect(map.remove(0n, 2n ** 64n)).toEqual([]);
    expect(map.find(0x1000)).toBeUndefined();
  });

  it('refuses to overlap, to cut in two, to be empty and to go beyond 2^53, and says with what', () => {
    const map = new AddressMap();
    map.add(mapping(0x1000n, 0x2000n));
    expect(() => map.add(mapping(0x2000n, 0x1000n))).toThrow(
      'mapping 0x2000..0x2fff: overlaps 0x1000..0x2fff, which is mapped already; unmap that first',
    );
    expect(() => map.remove(0x2000n, 0x1000n)).toThrow('would cut the mapping 0x1000..0x2fff in two');
    expect(() => map.add({ ...mapping(0x8000n, 1n), sizeBytes: 0n })).toThrow(AddressMapError);
    expect(() => map.add({ ...mapping(0x8000n, 1n), iova: 2n ** 53n })).toThrow('ends beyond 2^53');
    expect(map.size).toBe(1);
  });

  it('refuses a mapping with less memory behind it than it covers', () => {
    const map = new AddressMap();
    expect(() => map.add({ ...mapping(0n, 16n), sizeBytes: 32n })).toThrow('only 16 bytes of memory are behind it');
  });
});
