/**
 * A chain of descriptors in host memory, each with the address of the next. How far the engine may go is said by the
 * chain itself (a stop bit, an address of 0), by a tail pointer, or by a number of descriptors; engines differ in that.
 *
 * Models: AMD PG195 (XDMA: stop bit, adjacent descriptors, credits), PG021 (AXI DMA: tail pointer), Intel's I/OAT (a count).
 */
import { type Wait } from '../clock';
import { type DmaPort } from '../memory';
import { type Structure, type StructureCodec } from './codec';
import { DescriptorBurst, type DescriptorWalker } from './walker';

/** How descriptors are linked. */
export interface ChainLinks<K extends string> {
  /** Host address of the next one, unless that is adjacent; undefined: the chain ends here. */
  readonly next: (descriptor: Structure<K>) => number | undefined;
  /** How many lie right behind the next one, so that they are fetched with it and need no address. Default: none. */
  readonly adjacent?: (descriptor: Structure<K>) => number;
  /**
   * What follows one that lies right behind the one before is fetched with it, as far as there are credits and up to the
   * tail: a guess that drivers have them side by side. Each is still found by the address in the one before. Default false.
   */
  readonly readsAhead?: boolean;
}

/** Follows a chain of descriptors in host memory, each with the address of the next. */
export class ChainWalker<K extends string> implements DescriptorWalker {
  /** In hand, once it has been taken. */
  readonly descriptor: Structure<K>;
  readonly #burst: DescriptorBurst<K>;
  #isLinked = false;
  #completed: number | undefined;
  /** How many may be fetched along. */
  #ahead = 0;

  address = 0;
  /** Host address of the last descriptor to take for now; undefined: as far as the chain goes. */
  tail: number | undefined;
  /** How many descriptors lie right behind the one at `address`. */
  adjacent = 0;
  /** How many may be taken for now; each one that is completed takes one. */
  credits = Infinity;

  /** `burst`: descriptors fetched in one request at the most. */
  constructor(
    port: DmaPort,
    private readonly codec: StructureCodec<K>,
    private readonly links: ChainLinks<K>,
    burst = 64,
  ) {
    this.#burst = new DescriptorBurst(port, codec, burst);
    this.descriptor = this.#burst.descriptor;
  }

  /** The first descriptor of a chain, and how many lie right behind it. */
  start(address: number, adjacent = 0): void {
    this.address = address;
    this.adjacent = adjacent;
    this.#ahead = 0;
    this.#isLinked = true;
    this.#completed = undefined;
  }

  /** There is no chain any more. */
  clear(): void {
    this.#isLinked = false;
    this.discardFetched();
  }

  get hasNext(): boolean {
    return this.#isLinked && this.credits > 0 && (this.tail === undefined || this.tail !== this.#completed);
  }

  get isFetched(): boolean {
    return this.#burst.holds(this.address);
  }

  fetch(): Generator<Wait, void, void> {
    const ahead = Math.min(this.#ahead, this.#untilTail);
    return this.#burst.fetch(this.address, Math.min(1 + Math.max(this.adjacent, ahead), this.credits));
  }

  /** What lies behind the tail is not handed over; with the tail in front, as in a ring, nobody knows where it ends. */
  get #untilTail(): number {
    if (this.tail === undefined) return Infinity;
    return Math.max(0, Math.floor((this.tail - this.address) / this.codec.strideBytes));
  }

  take(): void {
    this.#burst.take(this.address);
  }

  advance(): void {
    const { descriptor, links, address } = this;
    const next = links.next(descriptor);
    this.#completed = address;
    this.credits--;
    this.#isLinked = next !== undefined;
    if (next === undefined) return;
    if (this.adjacent > 0) {
      this.adjacent--;
      this.address = address + this.codec.strideBytes;
    } else {
      this.adjacent = links.adjacent?.(descriptor) ?? 0;
      this.#ahead = links.readsAhead && next === address + this.codec.strideBytes ? Infinity : 0;
      this.address = next;
    }
  }

  discardFetched(): void {
    this.#burst.discard();
  }
}
