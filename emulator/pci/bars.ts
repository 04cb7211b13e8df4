/**
 * The base address registers: which BARs the card has, and what configuration space shows of them.
 *
 * A BAR's low bits are hardwired to its type, the address bits below its size to 0; so a driver that writes all ones
 * reads back the size. A 64-bit BAR uses two slots. An I/O BAR is 32-bit; in PCI Express it marks a legacy device.
 *
 * Source: PCI Local Bus Spec 3.0, 6.2.5.1; PCI Express Base Spec 5.0, 7.5.1.2.1.
 */
import { CardDefinitionError, isPowerOfTwo } from './identity';
import { BAR_COUNT } from './vfio-layout';

/** What handles the accesses to a BAR; the length of `data` is the access size. */
export interface BarTarget {
  read(barOffset: number, data: Uint8Array): void;
  write(barOffset: number, data: Uint8Array): void;
}

/** What a BAR is, beside its size. */
export interface BarOptions {
  /** Reads have no side effects, so that a bridge may prefetch; default false. */
  readonly prefetchable?: boolean;
  /** Address bits; 64 uses two slots; default 32. */
  readonly width?: 32 | 64;
  /** The BAR is in I/O space: 4 to 256 bytes of registers, for a driver that uses port accesses. Default false. */
  readonly io?: boolean;
}

export interface BarDefinition {
  readonly index: number;
  /** What the BAR holds, for error messages. */
  readonly label: string;
  readonly sizeBytes: number;
  readonly width: 32 | 64;
  readonly prefetchable: boolean;
  readonly io: boolean;
  /** What to do when another BAR wants its slot, for error messages. */
  readonly remedy?: string;
}

export interface Bar extends BarDefinition {
  readonly target: BarTarget;
}

/** Bits 3:0 of the register of a memory BAR. */
const MEMORY_64_BIT = 0b0100;
const PREFETCHABLE = 0b1000;
/** Bits 1:0 of the register of an I/O BAR. */
const IO_SPACE = 0b01;
const IO_KIND_MASK = 0b11;

const SMALLEST_BYTES = 16;
const LARGEST_32_BIT_BYTES = 2 ** 31;
const SMALLEST_IO_BYTES = 4;
const LARGEST_IO_BYTES = 256;

export class Bars {
  readonly #bars: (Bar | undefined)[] = new Array<Bar | undefined>(BAR_COUNT).fill(undefined);

  at(index: number): Bar | undefined {
    return this.#bars[index];
  }

  /** Adds a BAR with the target from `make`. Throws CardDefinitionError when it is invalid or its slots are taken. */
  add<T extends BarTarget>(bar: BarDefinition, make: () => T): T {
    const what = `BAR ${bar.index} (${bar.label})`;
    const lastSlot = bar.width === 64 ? bar.index + 1 : bar.index;
    if (!Number.isInteger(bar.index) || bar.index < 0 || lastSlot >= BAR_COUNT) {
      throw new CardDefinitionError(
        `${what}: valid BARs are 0 to ${BAR_COUNT - 1}` + (bar.width === 64 ? ', and a 64-bit BAR uses two' : ''),
      );
    }
    checkSize(what, bar);
    for (let slot = bar.index; slot <= lastSlot; slot++) {
      const holder = this.#holderOf(slot);
      if (!holder) continue;
      throw new CardDefinitionError(
        `${what}: slot ${slot} is taken by ${holder.width}-bit BAR ${holder.index} (${holder.label})` +
          (holder.width === 64 ? `, which uses slots ${holder.index} and ${holder.index + 1}` : '') +
          (holder.remedy === undefined ? '' : `; ${holder.remedy}`),
      );
    }
    const target = make();
    this.#bars[bar.index] = { ...bar, target };
    return target;
  }

  /** What slot `slot` reads after `stored` was written to it. */
  present(slot: number, stored: number): number {
    const bar = this.#bars[slot];
    if (bar?.io) return ((stored & addressMask(bar.sizeBytes) & ~IO_KIND_MASK) | IO_SPACE) >>> 0;
    if (bar) {
      const kind = (bar.width === 64 ? MEMORY_64_BIT : 0) | (bar.prefetchable ? PREFETCHABLE : 0);
      return ((stored & addressMask(bar.sizeBytes)) | kind) >>> 0;
    }
    const below = this.#holderOf(slot);
    return below ? (stored & addressMask(below.sizeBytes / 2 ** 32)) >>> 0 : 0;
  }

  get hasIo(): boolean {
    return this.#bars.some((bar) => bar?.io);
  }

  /** The lowest slot that no BAR uses. */
  get freeSlot(): number | undefined {
    const slot = this.#bars.findIndex((_, index) => this.#holderOf(index) === undefined);
    return slot === -1 ? undefined : slot;
  }

  /** The BAR that uses `slot`, as its only or lower slot or as its upper half. */
  #holderOf(slot: number): Bar | undefined {
    const below = this.#bars[slot - 1];
    return this.#bars[slot] ?? (below?.width === 64 ? below : undefined);
  }
}

/** The writable bits of a 32-bit address word of a BAR of `sizeBytes`. */
const addressMask = (sizeBytes: number): number => (sizeBytes >= 2 ** 32 ? 0 : ~(Math.max(1, sizeBytes) - 1) >>> 0);

function checkSize(what: string, { sizeBytes, width, prefetchable, io }: BarDefinition): void {
  const seen = `${what} is ${sizeBytes} bytes`;
  if (!isPowerOfTwo(sizeBytes)) throw new CardDefinitionError(`${seen}: a BAR's size must be a power of two`);
  if (io) return checkIo(what, sizeBytes, width === 64 || prefetchable);
  if (sizeBytes < SMALLEST_BYTES) throw new CardDefinitionError(`${seen}: a BAR is at least ${SMALLEST_BYTES} bytes`);
  if (width === 32 && sizeBytes > LARGEST_32_BIT_BYTES) {
    throw new CardDefinitionError(`${seen}: a 32-bit BAR is at most ${LARGEST_32_BIT_BYTES} bytes; make it 64-bit`);
  }
}

function checkIo(what: string, sizeBytes: number, hasMemoryKind: boolean): void {
  if (hasMemoryKind) throw new CardDefinitionError(`${what}: an I/O BAR is neither 64-bit nor prefetchable`);
  if (sizeBytes < SMALLEST_IO_BYTES || sizeBytes > LARGEST_IO_BYTES) {
    throw new CardDefinitionError(
      `${what} is ${sizeBytes} bytes: an I/O BAR has ${SMALLEST_IO_BYTES} to ${LARGEST_IO_BYTES}; set the map's sizeBytes`,
    );
  }
}
