/**
 * Ranges of addresses that do not overlap, in order, for tens of thousands of them: a guest behind an IOMMU maps page by
 * page. They lie in short lists, and these lie in a list: a look-up is a binary search in the one and then in the other,
 * and adding or removing a range moves the entries of one short list only.
 */
export interface AddressRange {
  readonly start: number;
  /** One past the last address. */
  readonly end: number;
}

/** A list that reaches this length is cut in two; two neighbours that have half of it together become one. */
const LIST_LENGTH = 256;

/** Ranges with their ends beside them: a search touches numbers that lie together, and no range but the one it finds. */
class ShortList<Range extends AddressRange> {
  constructor(
    readonly ranges: Range[] = [],
    readonly ends: number[] = [],
  ) {}

  insert(at: number, range: Range): void {
    this.ranges.splice(at, 0, range);
    this.ends.splice(at, 0, range.end);
  }

  remove(from: number, to = this.ranges.length): ShortList<Range> {
    return new ShortList(this.ranges.splice(from, to - from), this.ends.splice(from, to - from));
  }

  append({ ranges, ends }: ShortList<Range>): void {
    this.ranges.push(...ranges);
    this.ends.push(...ends);
  }

  get lastEnd(): number {
    return this.ends[this.ends.length - 1]!;
  }
}

export class RangeList<Range extends AddressRange> {
  /** None of them is empty. */
  readonly #lists: ShortList<Range>[] = [];
  /** Where each of them ends. */
  readonly #ends: number[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** In the order of their addresses. */
  *[Symbol.iterator](): Generator<Range> {
    for (const { ranges } of this.#lists) yield* ranges;
  }

  /** The first range whose end lies beyond `address`: the one that holds it, if any does. */
  firstEndingAfter(address: number): Range | undefined {
    const list = this.#lists[firstBeyond(this.#ends, address)];
    return list?.ranges[firstBeyond(list.ends, address)];
  }

  /** Adds a range that overlaps none. */
  add(range: Range): void {
    this.#size++;
    if (this.#lists.length === 0) this.#replace(0, 0, [new ShortList()]);
    const at = Math.min(firstBeyond(this.#ends, range.start), this.#lists.length - 1);
    const list = this.#lists[at]!;
    list.insert(firstBeyond(list.ends, range.start), range);
    if (list.ranges.length < LIST_LENGTH) this.#ends[at] = list.lastEnd;
    else this.#replace(at, at + 1, [list, list.remove(LIST_LENGTH / 2)]);
  }

  /** Takes out all ranges from `start` to `end`, neither of which lies inside one. */
  removeBetween(start: number, end: number): Range[] {
    const removed: Range[] = [];
    const first = firstBeyond(this.#ends, start);
    let at = first;
    for (; at < this.#lists.length; at++) {
      const list = this.#lists[at]!;
      const to = firstBeyond(list.ends, end);
      const isLast = to < list.ranges.length;
      for (const range of list.remove(firstBeyond(list.ends, start), to).ranges) removed.push(range);
      if (isLast) break;
    }
    this.#size -= removed.length;
    if (removed.length > 0) this.#tidy(Math.max(0, first - 1), Math.min(at + 2, this.#lists.length));
    return removed;
  }

  /** Lists `from` to `to` may have become empty or short. */
  #tidy(from: number, to: number): void {
    const tidied: ShortList<Range>[] = [];
    for (const list of this.#lists.slice(from, to)) {
      const previous = tidied.at(-1);
      const together = (previous?.ranges.length ?? LIST_LENGTH) + list.ranges.length;
      if (previous !== undefined && together <= LIST_LENGTH / 2) previous.append(list);
      else if (list.ranges.length > 0) tidied.push(list);
    }
    this.#replace(from, to, tidied);
  }

  #replace(from: number, to: number, lists: readonly ShortList<Range>[]): void {
    this.#lists.splice(from, to - from, ...lists);
    this.#ends.splice(from, to - from, ...lists.map(({ lastEnd }) => lastEnd));
  }
}

/** Index of the first of the numbers, which are in order, that is greater than `address`. */
function firstBeyond(ends: readonly number[], address: number): number {
  let low = 0;
  let high = ends.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ends[middle]! <= address) low = middle + 1;
    else high = middle;
  }
  return low;
}
