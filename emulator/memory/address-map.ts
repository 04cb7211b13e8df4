/**
 * The device's view of host memory: which I/O virtual addresses are mapped, and what is behind them.
 *
 * QEMU maps and unmaps all the time (firmware shadowing at boot, an IOMMU later), so nothing here is cached by engines:
 * every access looks its address up in the map of the moment. Ranges are kept sorted; look-up is a binary search with
 * the last hit tried first.
 */
import { type DmaMapping } from './backing';

/** A mapping with its bounds as numbers, ready for the hot path. */
export interface MappedRange {
  readonly start: number;
  /** One past the last address. */
  readonly end: number;
  readonly mapping: DmaMapping;
  /** The bytes themselves when the memory is in this process, else undefined. */
  readonly bytes: Uint8Array | undefined;
  /** The same bytes as aligned 32-bit words, for ordered stores. */
  readonly words: Int32Array | undefined;
}

/** Engines address with numbers, which are exact up to here. */
const addressLimit = 2n ** 53n;

/** A map or unmap that cannot be done; nothing has changed. */
export class AddressMapError extends Error {
  override readonly name = 'AddressMapError';

  constructor(
    message: string,
    /** 'exists': some of the range is mapped already. 'invalid': the request makes no sense. */
    readonly kind: 'exists' | 'invalid' = 'invalid',
  ) {
    super(message);
  }
}

export class AddressMap {
  readonly #ranges: MappedRange[] = [];
  #lastHit: MappedRange | undefined;

  /** How many mappings there are. */
  get size(): number {
    return this.#ranges.length;
  }

  /** The mappings in the order of their addresses. */
  get ranges(): readonly MappedRange[] {
    return this.#ranges;
  }

  /** Adds a mapping. Throws AddressMapError when it is empty, beyond 2^53 or overlaps another. */
  add(mapping: DmaMapping): void {
    const { iova, sizeBytes } = mapping;
    const asked = `mapping ${describeRange(iova, sizeBytes)}`;
    if (iova < 0n || sizeBytes <= 0n) throw new AddressMapError(`${asked}: the size must be at least one byte`);
    if (iova + sizeBytes > addressLimit)
      throw new AddressMapError(`${asked}: ends beyond 2^53, the highest address supported`);
    const start = Number(iova);
    const end = Number(iova + sizeBytes);
    const at = this.#firstEndingAfter(start);
    const next = this.#ranges[at];
    if (next !== undefined && next.start < end) {
      const { mapping: other } = next;
      throw new AddressMapError(
        `${asked}: overlaps ${describeRange(other.iova, other.sizeBytes)}, which is mapped already; unmap that first`,
        'exists',
      );
    }
    this.#ranges.splice(at, 0, { start, end, mapping, ...wordsOf(mapping, end - start) });
  }

  /**
   * Removes every mapping inside `iova … iova + sizeBytes - 1` and returns them; none is fine (QEMU's virtual IOMMU
   * unmaps what was never mapped). Throws AddressMapError when the range would cut a mapping in two.
   */
  remove(iova: bigint, sizeBytes: bigint): DmaMapping[] {
    const start = clampToNumber(iova);
    const end = clampToNumber(iova + sizeBytes);
    const first = this.#firstEndingAfter(start);
    let last = first;
    while (last < this.#ranges.length && this.#ranges[last]!.start < end) last++;
    for (const range of [this.#ranges[first], this.#ranges[last - 1]]) {
      if (last > first && range !== undefined && (range.start < start || range.end > end)) {
        const { mapping } = range;
        throw new AddressMapError(
          `unmapping ${describeRange(iova, sizeBytes)}: would cut the mapping ` +
            `${describeRange(mapping.iova, mapping.sizeBytes)} in two; unmap whole mappings`,
        );
      }
    }
    this.#lastHit = undefined;
    return this.#ranges.splice(first, last - first).map((range) => range.mapping);
  }

  /** The mapping that holds `iova`, or undefined. */
  find(iova: number): MappedRange | undefined {
    const hit = this.#lastHit;
    if (hit !== undefined && iova >= hit.start && iova < hit.end) return hit;
    const found = this.#ranges[this.#firstEndingAfter(iova)];
    if (found === undefined || iova < found.start) return undefined;
    return (this.#lastHit = found);
  }

  /** Index of the first range whose end lies beyond `address`. */
  #firstEndingAfter(address: number): number {
    let low = 0;
    let high = this.#ranges.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#ranges[middle]!.end <= address) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function wordsOf(mapping: DmaMapping, sizeBytes: number): Pick<MappedRange, 'bytes' | 'words'> {
  if (mapping.backing.kind !== 'bytes') return { bytes: undefined, words: undefined };
  const { bytes } = mapping.backing;
  if (bytes.length < sizeBytes) {
    throw new AddressMapError(
      `mapping ${describeRange(mapping.iova, mapping.sizeBytes)}: only ${bytes.length} bytes of memory are behind it`,
    );
  }
  if (bytes.byteOffset % 4 !== 0 || mapping.iova % 4n !== 0n) return { bytes, words: undefined };
  return { bytes, words: new Int32Array(bytes.buffer, bytes.byteOffset, Math.floor(bytes.length / 4)) };
}

const clampToNumber = (address: bigint): number => Number(address > addressLimit ? addressLimit : address);

const describeRange = (iova: bigint, sizeBytes: bigint): string =>
  `0x${iova.toString(16)}..0x${(iova + sizeBytes - 1n).toString(16)}`;
