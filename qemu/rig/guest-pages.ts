/**
 * What the pages of a guest's memory are used for, read from the descriptors (struct page) that the guest's kernel keeps of
 * them: in memory that is mapped for the card's DMA anyway, so that the guest is not asked. It answers only where there is
 * no doubt, since the guest goes on meanwhile.
 *
 * A page is free when nothing refers to it and it is in a block of the buddy allocator, in a list of pages that were freed
 * a moment ago, or in the pool of huge pages. That nothing refers to it is not enough: of a block that was allocated as one
 * and is no compound page, such as memory of dma_alloc_coherent, only the first page has a reference count.
 *
 * The buffers of a program are mapped by it. So they are neither in a page of a file that nobody has mapped, nor in one of
 * anonymous memory that only another process has mapped.
 *
 * Source: Linux include/linux/mm_types.h, include/linux/page-flags.h (PAGE_MAPPING_FLAGS), mm/page_alloc.c, mm/hugetlb.c.
 */
import { type MappedRange } from '../../emulator/memory';
import { PAGE_BYTES, type PageFacts, type PageUse } from '../../instrumentation/checks';
import { type PageLayout, type PageRun } from './page-layout';

/** The largest blocks of the buddy allocator have 2^10 pages. */
const MAX_ORDER = 10;

/** The part of a card's inspection that is needed. */
export interface GuestMemory {
  mappedAt(address: number): MappedRange | undefined;
}

/** Which processes have written to pages last. */
export interface PageProcesses {
  /** Undefined where that is not known. */
  ownerOf(page: number): number | undefined;
  /** Whether one has that is known to be no driver of the card. */
  isOther(page: number): boolean;
}

/** In the lower bits of `mapping`. */
const MAPPING_KIND = 3;
const OF_FILE = 0;
const ANONYMOUS = 1;

export class GuestPages implements PageFacts {
  #run: PageRun | undefined;
  // Of the descriptor that was found last: the memory that it is in, and the index of its first word there.
  #words!: Int32Array;
  #at = 0;
  // Kernel addresses have 64 bits; differences of two are exact.
  readonly #pageZeroHigh: number;
  readonly #pageZeroLow: number;

  constructor(
    private readonly layout: PageLayout,
    private readonly memory: GuestMemory,
    /** Whether the card's driver is a program: the memory of one in the kernel may be in slabs. */
    private readonly isForProgram: () => boolean,
    /** Where it is known which process has written to a page last. */
    private readonly processes?: PageProcesses,
  ) {
    this.#pageZeroHigh = Number(layout.pageZero >> 32n);
    this.#pageZeroLow = Number(layout.pageZero & 0xffff_ffffn);
  }

  useOf(address: number): PageUse | undefined {
    const { ranges, compoundHead, refcount, type, freeType, tableType, slabType, slabFlag, flags } = this.layout;
    for (let i = 0; i < ranges.length; i++) {
      const range = ranges[i]!;
      if (address >= range.start && address < range.end) return range.use;
    }
    const page = Math.floor(address / PAGE_BYTES);
    if (!this.#find(page)) return undefined;
    const head = this.#word(compoundHead);
    const isTail = (head & 1) !== 0;
    if (isTail && !this.#find(this.#pageOf(this.#word(compoundHead + 4), head - 1))) return undefined;
    if (this.#word(refcount) === 0) {
      if (isTail || this.#word(type) >>> 0 === freeType) return 'free';
      return this.#isInList(page) || this.#isInFreeBlock(page) ? 'free' : undefined;
    }
    const pageType = this.#word(type) >>> 0;
    if (pageType === tableType) return 'page table';
    if (!this.isForProgram()) return undefined;
    const isSlab = slabType !== 0 ? pageType === slabType : (this.#word(flags) & slabFlag) !== 0;
    return isSlab ? 'slab' : isTail ? undefined : this.#useByPrograms(page);
  }

  processOf(address: number): number | undefined {
    return this.processes?.ownerOf(Math.floor(address / PAGE_BYTES));
  }

  /** Of a page on its own that something refers to. */
  #useByPrograms(page: number): PageUse | undefined {
    const { flags, headFlag, mapping, mapcount } = this.layout;
    if ((this.#word(flags) & headFlag) !== 0) return undefined;
    const low = this.#word(mapping);
    const mappings = this.#word(mapcount) + 1;
    switch (low & MAPPING_KIND) {
      case OF_FILE:
        return mappings === 0 && (low !== 0 || this.#word(mapping + 4) !== 0) ? 'page cache' : undefined;
      case ANONYMOUS:
        return mappings === 1 && this.processes?.isOther(page) ? 'another process' : undefined;
      default:
        return undefined;
    }
  }

  /** Finds the descriptor of a page; false where there is none, or it is out of reach. */
  #find(page: number): boolean {
    let run = this.#run;
    if (run === undefined || page < run.first || page >= run.first + run.count) {
      run = this.layout.runs.find(({ first, count }) => page >= first && page < first + count);
      if (run === undefined) return false;
      this.#run = run;
    }
    return this.#reach(run.at + (page - run.first) * this.layout.size);
  }

  #reach(address: number): boolean {
    const range = this.memory.mappedAt(address);
    if (range?.words32 === undefined) return false;
    this.#words = range.words32;
    this.#at = (address - range.start) / 4;
    return true;
  }

  /** The 32 bits at an offset of the descriptor. */
  #word(offset: number): number {
    return this.#words[this.#at + offset / 4]!;
  }

  /** The page whose descriptor is at an address of the kernel. */
  #pageOf(high: number, low: number): number {
    const bytes = ((high >>> 0) - this.#pageZeroHigh) * 2 ** 32 + ((low >>> 0) - this.#pageZeroLow);
    return bytes / this.layout.size;
  }

  /** Pages of a free block that are not its first have no mark of their own. */
  #isInFreeBlock(page: number): boolean {
    for (let order = 1; order <= MAX_ORDER; order++) {
      if (!this.#find(page - (page % 2 ** order))) return false;
      if (this.#word(this.layout.type) >>> 0 === this.layout.freeType) return this.#word(this.layout.order) >= order;
    }
    return false;
  }

  /**
   * Whether the next element of the list that the page is in points back to it. In use, a page without references is in no
   * list; one that was never in a list points to itself, and one that has left a list to nowhere.
   */
  #isInList(page: number): boolean {
    const { lru, pageZero, directMap, size } = this.layout;
    const own = pageZero + BigInt(page * size + lru);
    const next = this.#address(lru);
    if (next === own) return false;
    const inDescriptors = Number(next - pageZero);
    const isDescriptor = inDescriptors >= 0 && Number.isInteger((inDescriptors - lru) / size);
    if (!(isDescriptor && this.#find((inDescriptors - lru) / size)) && !this.#reach(Number(next - directMap) - lru)) {
      return false;
    }
    return this.#address(lru + 8) === own;
  }

  #address(offset: number): bigint {
    return (BigInt(this.#word(offset + 4) >>> 0) << 32n) | BigInt(this.#word(offset) >>> 0);
  }
}
