/**
 * A descriptor ring in host memory: index arithmetic, and fetching in bursts as a bus master does.
 *
 * Indexes run from 0 to size - 1; the ring is empty when producer and consumer are equal, so one entry stays free.
 * A burst covers only descriptors that the doorbell has handed over: they are the card's from then on, so reading
 * them ahead is no race.
 */
import { type Wait } from '../clock';
import { type DmaPort } from '../memory';
import { type Descriptor, decodeDescriptor, descriptorOffsets } from './descriptor';
import { DESCRIPTOR_BYTES } from './layout';
import { bytesInPage } from './transfer';

/** Descriptors fetched in one read at the most: 2 KiB. */
const burstDescriptors = 64;

export const RING_SIZE_LIMITS = { min: 2, max: 65_536 } as const;

export class DescriptorRing {
  readonly #port: DmaPort;
  readonly #burst = new Uint8Array(burstDescriptors * DESCRIPTOR_BYTES);
  readonly #view = new DataView(this.#burst.buffer);
  /** Index of the first descriptor of the burst in hand, and how many it holds. */
  #burstStart = 0;
  #burstCount = 0;

  /** Host address of entry 0, in bytes. */
  base = 0;
  /** Entries; a power of two. */
  size = 0;
  producer = 0;
  consumer = 0;

  constructor(port: DmaPort) {
    this.#port = port;
  }

  get isEmpty(): boolean {
    return this.producer === this.consumer;
  }

  /** What is wrong with the ring as the driver has set it up, or undefined. */
  get mistake(): string | undefined {
    const { base, size, producer, consumer } = this;
    const powerOfTwo = size >= RING_SIZE_LIMITS.min && size <= RING_SIZE_LIMITS.max && (size & (size - 1)) === 0;
    if (!powerOfTwo)
      return `RING_SIZE ${size} is not a power of two from ${RING_SIZE_LIMITS.min} to ${RING_SIZE_LIMITS.max}`;
    if (base % DESCRIPTOR_BYTES !== 0)
      return `RING_BASE 0x${base.toString(16)} is not a multiple of ${DESCRIPTOR_BYTES}`;
    if (producer >= size) return `DOORBELL index ${producer} is outside the ring of ${size}`;
    if (consumer >= size) return `CONSUMER_INDEX ${consumer} is outside the ring of ${size}, which has shrunk`;
    return undefined;
  }

  /** Host address of entry `index`. */
  addressOf(index: number): number {
    return this.base + index * DESCRIPTOR_BYTES;
  }

  /** Whether the descriptor at the consumer index has been fetched. */
  get isFetched(): boolean {
    const ahead = this.consumer - this.#burstStart;
    return ahead >= 0 && ahead < this.#burstCount;
  }

  /**
   * Reads ahead from the consumer index, up to the producer, the end of the ring, a full burst or the end of a 4 KiB
   * page, which a request never crosses (PCI Express Base Spec 5.0, 2.2.7).
   */
  *fetch(): Generator<Wait, void, void> {
    const { consumer, producer, size } = this;
    const until = producer > consumer ? producer : size;
    const inPage = bytesInPage(this.addressOf(consumer)) / DESCRIPTOR_BYTES;
    const count = Math.min(until - consumer, burstDescriptors, inPage);
    this.#burstCount = 0;
    // A fetch that is discarded in this wait must leave nothing behind: what comes after yield does not run then.
    yield* this.#port.read(this.addressOf(consumer), this.#burst.subarray(0, count * DESCRIPTOR_BYTES));
    this.#burstStart = consumer;
    this.#burstCount = count;
  }

  /** The fetched descriptor at the consumer index. */
  decode(into: Descriptor): void {
    decodeDescriptor(this.#view, (this.consumer - this.#burstStart) * DESCRIPTOR_BYTES, into);
  }

  /** An address of the fetched descriptor at the consumer index, also where a number would round it. */
  exactAddress(field: 'hostAddress' | 'cardAddress'): bigint {
    const offset = (this.consumer - this.#burstStart) * DESCRIPTOR_BYTES + descriptorOffsets[field];
    return this.#view.getBigUint64(offset, true);
  }

  /** Advances the consumer index past a descriptor. */
  advance(): void {
    this.consumer = (this.consumer + 1) & (this.size - 1);
  }

  /** Discards descriptors that were fetched ahead: the driver may have changed them. */
  discardFetched(): void {
    this.#burstCount = 0;
  }
}
