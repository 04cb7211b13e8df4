/**
 * What finds one descriptor after the other for an engine, and the buffer into which they are fetched. There are two:
 * `RingWalker` (ring.ts) and `ChainWalker` (chain.ts).
 */
import { type Wait } from '../clock';
import { type DmaPort } from '../memory';
import { type Structure, type StructureCodec } from './codec';
import { bytesInPage } from './transfer';

/** What finds one descriptor after the other for an engine. */
export interface DescriptorWalker {
  /** Host address of the descriptor in hand, or of the one that is next. */
  readonly address: number;
  /** The driver has handed one over that has not been completed. */
  readonly hasNext: boolean;
  /** Its bytes are here. */
  readonly isFetched: boolean;
  /** Fetches it, with some that follow. */
  fetch(): Generator<Wait, void, void>;
  /** Takes it in hand: it is the walker's `descriptor` from now on. */
  take(): void;
  /** It is complete: on to the next. */
  advance(): void;
  /** Discards what was fetched ahead: the driver may have changed it. */
  discardFetched(): void;
}

/** Descriptors that lie side by side, fetched in one request. */
export class DescriptorBurst<K extends string> {
  readonly descriptor: Structure<K>;
  readonly #bytes: Uint8Array;
  /** Host address of the first, and how many bytes there are from there. */
  #start = 0;
  #sizeBytes = 0;

  constructor(
    private readonly port: DmaPort,
    private readonly codec: StructureCodec<K>,
    /** Fetched at once at the most. */
    private readonly most: number,
  ) {
    this.#bytes = new Uint8Array(most * codec.strideBytes);
    this.descriptor = codec.in(new DataView(this.#bytes.buffer));
  }

  holds(address: number): boolean {
    const offset = address - this.#start;
    return offset >= 0 && offset < this.#sizeBytes && offset % this.codec.strideBytes === 0;
  }

  /**
   * Fetches up to `count` from `address` on: as many as lie in one 4 KiB page, which no request crosses (PCI Express Base
   * Spec 5.0, 2.2.7). One that lies in two pages takes two requests.
   */
  *fetch(address: number, count: number): Generator<Wait, void, void> {
    const { strideBytes, sizeBytes } = this.codec;
    const inPage = bytesInPage(address);
    const fetched = Math.max(1, Math.min(count, this.most, Math.floor(inPage / strideBytes)));
    const end = (fetched - 1) * strideBytes + sizeBytes;
    this.#sizeBytes = 0;
    // A fetch that is discarded in this wait must leave nothing behind: what comes after yield does not run then.
    yield* this.port.read(address, this.#bytes.subarray(0, Math.min(end, inPage)));
    if (end > inPage) yield* this.port.read(address + inPage, this.#bytes.subarray(inPage, end));
    this.#start = address;
    this.#sizeBytes = fetched * strideBytes;
  }

  take(address: number): void {
    this.descriptor.offset = address - this.#start;
  }

  discard(): void {
    this.#sizeBytes = 0;
  }
}
