/**
 * A descriptor ring in host memory: index arithmetic, and fetching in bursts as a bus master does.
 *
 * Indexes run from 0 to size - 1; the ring is empty when producer and consumer are equal, so one entry stays free.
 * A burst covers only descriptors that the doorbell has handed over: they are the card's from then on, so reading
 * them ahead is no race.
 */
import { type Wait } from '../clock';
import { type DmaPort } from '../memory';
import { type Structure, type StructureCodec } from './codec';
import { DescriptorBurst, type DescriptorWalker } from './walker';

/** Walks a descriptor ring in host memory, and fetches in bursts what the doorbell has handed over. */
export class RingWalker<K extends string> implements DescriptorWalker {
  /** In hand, once it has been taken. */
  readonly descriptor: Structure<K>;
  readonly #burst: DescriptorBurst<K>;
  readonly #strideBytes: number;

  /** Host address of entry 0, in bytes. */
  base = 0;
  /** Entries. */
  size = 0;
  producer = 0;
  consumer = 0;

  /** `burst`: descriptors fetched in one request at the most. */
  constructor(port: DmaPort, codec: StructureCodec<K>, burst = 64) {
    this.#burst = new DescriptorBurst(port, codec, burst);
    this.#strideBytes = codec.strideBytes;
    this.descriptor = this.#burst.descriptor;
  }

  get hasNext(): boolean {
    return this.producer !== this.consumer;
  }

  get address(): number {
    return this.base + this.consumer * this.#strideBytes;
  }

  get isFetched(): boolean {
    return this.#burst.holds(this.address);
  }

  /** Reads ahead from the consumer index, up to the producer or the end of the ring. */
  fetch(): Generator<Wait, void, void> {
    const { consumer, producer, size } = this;
    return this.#burst.fetch(this.address, (producer > consumer ? producer : size) - consumer);
  }

  take(): void {
    this.#burst.take(this.address);
  }

  advance(): void {
    this.consumer = this.consumer + 1 === this.size ? 0 : this.consumer + 1;
  }

  discardFetched(): void {
    this.#burst.discard();
  }
}
