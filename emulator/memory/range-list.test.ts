import { describe, expect, it } from 'vitest';
import { type AddressRange, RangeList } from './range-list';

const range = (page: number): AddressRange => ({ start: page * 16, end: page * 16 + 16 });
const pagesOf = (list: Iterable<AddressRange>): number[] => [...list].map(({ start }) => start / 16);

describe('RangeList', () => {
  it('agrees with a plain list over thousands of ranges that are added, removed in runs and looked up', () => {
    const list = new RangeList<AddressRange>();
    const pages = new Set<number>();
    let seed = 7;
    const random = (below: number): number => (seed = (seed * 48_271) % 0x7fff_ffff) % below;
    for (let step = 0; step < 20_000; step++) {
      const page = random(4096);
      if (step % 100 === 99) {
        const length = random(400);
        const removed = list.removeBetween(page * 16, (page + length) * 16);
        const expected = [...pages].filter((other) => other >= page && other < page + length);
        expect(pagesOf(removed)).toEqual(expected.sort((a, b) => a - b));
        for (const gone of expected) pages.delete(gone);
      } else if (!pages.has(page)) {
        list.add(range(page));
        pages.add(page);
      }
      const probe = random(4096);
      const holder = list.firstEndingAfter(probe * 16 + 15);
      expect(holder?.start === probe * 16).toBe(pages.has(probe));
    }
    expect(list.size).toBe(pages.size);
    expect(pagesOf(list)).toEqual([...pages].sort((a, b) => a - b));
  });

  it('takes tens of thousands in any order, gives them back in order, and is empty when all are removed', () => {
    const orders = [(i: number) => i, (i: number) => 65_534 - i, (i: number) => (i * 12_289) % 65_535];
    for (const order of orders) {
      const list = new RangeList<AddressRange>();
      for (let i = 0; i < 65_535; i++) list.add(range(order(i)));
      expect(pagesOf(list)).toEqual(Array.from({ length: 65_535 }, (_, page) => page));
      expect(list.removeBetween(0, 65_535 * 16)).toHaveLength(65_535);
      expect([list.size, list.firstEndingAfter(0)]).toEqual([0, undefined]);
      list.add(range(3));
      expect(list.firstEndingAfter(0)).toEqual(range(3));
    }
  });

  it('removed one by one from either end, the others stay found', () => {
    const list = new RangeList<AddressRange>();
    for (let page = 0; page < 2000; page++) list.add(range(page));
    for (let page = 0; page < 999; page++) {
      expect(list.removeBetween(page * 16, page * 16 + 16)).toEqual([range(page)]);
      expect(list.removeBetween((1999 - page) * 16, (2000 - page) * 16)).toEqual([range(1999 - page)]);
      expect(list.firstEndingAfter(0)).toEqual(range(page + 1));
    }
    expect(pagesOf(list)).toEqual([999, 1000]);
  });
});
