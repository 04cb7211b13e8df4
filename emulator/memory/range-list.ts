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

export class RangeList<Range extends AddressRange> {
  /** None of them is empty. */
  readonly #lists: Range[][] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** In the order of their addresses. */
  *[Symbol.iterator](): Generator<Range> {
    for (const list of this.#lists) yield* list;
  }

  /** The first range whose end lies beyond `address`: the one that holds it, if any does. */
  firstEndingAfter(address: number): Range | undefined {
    const list = this.#lists[this.#listEndingAfter(address)];
    return list?.[positionEndingAfter(list, address)];
  }

  /** Adds a range that overlaps none. */
  add(range: Range): void {
    this.#size++;
    if (this.#lists.length === 0) {
      this.#lists.push([range]);
      return;
    }
    const at = Math.min(this.#listEndingAfter(range.start), this.#lists.length - 1);
    const list = this.#lists[at]!;
    list.splice(positionEndingAfter(list, range.start), 0, range);
    if (list.length >= LIST_LENGTH) this.#lists.splice(at + 1, 0, list.splice(LIST_LENGTH / 2));
  }

  /** Takes out all ranges from `start` to `end`, neither of which lies inside one. */
  removeBetween(start: number, end: number): Range[] {
    const removed: Range[] = [];
    const first = this.#listEndingAfter(start);
    let at = first;
    for (; at < this.#lists.length; at++) {
      const list = this.#lists[at]!;
      const from = positionEndingAfter(list, start);
      const to = positionEndingAfter(list, end);
      const isLast = to < list.length;
      for (const range of list.splice(from, to - from)) removed.push(range);
      if (isLast) break;
    }
    this.#size -= removed.length;
    this.#tidy(Math.max(0, first - 1), Math.min(at + 2, this.#lists.length));
    return removed;
  }

  /** Lists `from` to `to` may have become empty or short. */
  #tidy(from: number, to: number): void {
    const tidied: Range[][] = [];
    for (const list of this.#lists.slice(from, to)) {
      const previous = tidied.at(-1);
      if (previous !== undefined && previous.length + list.length <= LIST_LENGTH / 2) previous.push(...list);
      else if (list.length > 0) tidied.push(list);
    }
    if (tidied.length < to - from) this.#lists.splice(from, to - from, ...tidied);
  }

  /** Index of the first list that has a range whose end lies beyond `address`. */
  #listEndingAfter(address: number): number {
    let low = 0;
    let high = this.#lists.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#lists[middle]!.at(-1)!.end <= address) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Index of the first range of the list whose end lies beyond `address`. */
function positionEndingAfter(list: readonly AddressRange[], address: number): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (list[middle]!.end <= address) low = middle + 1;
    else high = middle;
  }
  return low;
}
