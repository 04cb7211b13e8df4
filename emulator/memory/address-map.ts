/**
 * The device's view of host memory: which I/O virtual addresses are mapped, and what is behind them.
 *
 * QEMU maps and unmaps all the time (firmware shadowing at boot, every buffer of a guest behind an IOMMU), so nothing
 * here is cached by engines: every access looks its address up in the current map, the last hit first.
 *
 * What may be mapped and unmapped follows Linux drivers/vfio/vfio_iommu_type1.c (version 2 of its interface): a map that
 * overlaps another is refused, an unmap may take any number of whole mappings, none included, and cut none in two.
 */
import { type DmaMapping } from './backing';
import { RangeList } from './range-list';

/** A mapping with its bounds as numbers, ready for the hot path. */
export interface MappedRange {
  readonly start: number;
  /** One past the last address. */
  readonly end: number;
  readonly mapping: DmaMapping;
  readonly readable: boolean;
  readonly writable: boolean;
  /** The bytes themselves when the memory is in this process, else undefined. */
  readonly bytes: Uint8Array | undefined;
  /** The same bytes as aligned words, for accesses that are one load or one store; undefined where they lie askew. */
  readonly words32: Int32Array | undefined;
  readonly words64: BigInt64Array | undefined;
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
  readonly #ranges = new RangeList<MappedRange>();
  #lastHit: MappedRange | undefined;

  /** How many mappings there are. */
  get size(): number {
    return this.#ranges.size;
  }

  /** The mappings in the order of their addresses. */
  get ranges(): readonly MappedRange[] {
    return [...this.#ranges];
  }

  /** Adds a mapping. Throws AddressMapError when it is empty, beyond 2^53 or overlaps another. */
  add(mapping: DmaMapping): void {
    const { iova, sizeBytes } = mapping;
    const asked = (): string => `mapping ${describeRange(iova, sizeBytes)}`;
    if (iova < 0n || sizeBytes <= 0n) throw new AddressMapError(`${asked()}: the size must be at least one byte`);
    if (iova + sizeBytes > addressLimit)
      throw new AddressMapError(`${asked()}: ends beyond 2^53, the highest address supported`);
    const added = new Mapped(mapping);
    const next = this.#ranges.firstEndingAfter(added.start);
    if (next !== undefined && next.start < added.end) {
      throw new AddressMapError(
        `${asked()}: overlaps ${describe(next)}, which is mapped already; unmap that first`,
        'exists',
      );
    }
    this.#ranges.add(added);
  }

  /**
   * Removes every mapping inside `iova … iova + sizeBytes - 1` and returns them; none is fine (QEMU's virtual IOMMU
   * unmaps what was never mapped). Throws AddressMapError when the range would cut a mapping in two.
   */
  remove(iova: bigint, sizeBytes: bigint): DmaMapping[] {
    const start = clampToNumber(iova);
    const end = clampToNumber(iova + sizeBytes);
    for (const border of [start, end]) {
      const holder = this.#ranges.firstEndingAfter(border);
      if (holder !== undefined && holder.start < border) {
        throw new AddressMapError(
          `unmapping ${describeRange(iova, sizeBytes)}: would cut the mapping ${describe(holder)} in two; ` +
            'unmap whole mappings',
        );
      }
    }
    this.#lastHit = undefined;
    return this.#ranges.removeBetween(start, end).map((range) => range.mapping);
  }

  /** The mapping that holds `iova`, or undefined. */
  find(iova: number): MappedRange | undefined {
    const hit = this.#lastHit;
    if (hit !== undefined && iova >= hit.start && iova < hit.end) return hit;
    const found = this.#ranges.firstEndingAfter(iova);
    if (found === undefined || iova < found.start) return undefined;
    return (this.#lastHit = found);
  }
}

interface WordArray<W> {
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): W;
}

class Mapped implements MappedRange {
  readonly start: number;
  readonly end: number;
  readonly readable: boolean;
  readonly writable: boolean;
  #bytes: Uint8Array | undefined;
  #words32: Int32Array | undefined;
  #words64: BigInt64Array | undefined;

  constructor(readonly mapping: DmaMapping) {
    this.start = Number(mapping.iova);
    this.end = Number(mapping.iova + mapping.sizeBytes);
    this.readable = mapping.readable;
    this.writable = mapping.writable;
    const { backing } = mapping;
    if (backing.kind !== 'bytes') return;
    const sizeBytes = backing.sizeBytes ?? backing.bytes.length;
    if (sizeBytes >= this.end - this.start) return;
    throw new AddressMapError(
      `mapping ${describeRange(mapping.iova, mapping.sizeBytes)}: only ${sizeBytes} bytes of memory are behind it`,
    );
  }

  get bytes(): Uint8Array | undefined {
    const { backing } = this.mapping;
    return (this.#bytes ??= backing.kind === 'bytes' ? backing.bytes : undefined);
  }

  /** Made when first asked for: most of many small mappings never are. */
  get words32(): Int32Array | undefined {
    return (this.#words32 ??= this.#as(Int32Array));
  }

  get words64(): BigInt64Array | undefined {
    return (this.#words64 ??= this.#as(BigInt64Array));
  }

  #as<W>(Words: WordArray<W>): W | undefined {
    const { bytes, start } = this;
    const size = Words.BYTES_PER_ELEMENT;
    if (bytes === undefined || bytes.byteOffset % size !== 0 || start % size !== 0) return undefined;
    return new Words(bytes.buffer, bytes.byteOffset, Math.floor(bytes.length / size));
  }
}

const clampToNumber = (address: bigint): number => Number(address > addressLimit ? addressLimit : address);

const describeRange = (iova: bigint, sizeBytes: bigint): string =>
  `0x${iova.toString(16)}..0x${(iova + sizeBytes - 1n).toString(16)}`;

const describe = ({ mapping }: MappedRange): string => describeRange(mapping.iova, mapping.sizeBytes);
