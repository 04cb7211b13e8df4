/**
 * Words of host memory, of 32 bits (a `number`) or 64 (a `bigint`): what a processor loads or stores at once, and so does
 * a device. Pointers, indexes and valid bits lie in them, and neither side may see half of one.
 *
 * Source: PCI Express Base Specification, section 2.4.3: a write of an aligned word is not seen in parts; the same is
 * asked of reads here, as root complexes do it.
 */
import { type MappedRange } from './address-map';

export type Word = number | bigint;

/** @throws RangeError when the address is not a multiple of the word's size */
export function checkAlignment(iova: number, value: Word): void {
  const size = sizeOfWord(value);
  if ((iova & (size - 1)) === 0) return; // `&` takes the low bits of every exact number, and is faster than `%`
  throw new RangeError(`write${size * 8} at 0x${iova.toString(16)}: the address must be a multiple of ${size}`);
}

export const sizeOfWord = (value: Word): 4 | 8 => (typeof value === 'bigint' ? 8 : 4);

/** The bytes of one word after the other, little-endian, in memory of its own: what it returned last is overwritten. */
export class WordBytes {
  readonly #view = new DataView(new ArrayBuffer(8));
  readonly #bytes = { 4: new Uint8Array(this.#view.buffer, 0, 4), 8: new Uint8Array(this.#view.buffer) };

  of(value: Word): Uint8Array {
    if (typeof value === 'bigint') {
      this.#view.setBigUint64(0, value, true);
      return this.#bytes[8];
    }
    this.#view.setUint32(0, value, true);
    return this.#bytes[4];
  }
}

/** Little-endian. */
export const bytesOf = (value: Word): Uint8Array => new WordBytes().of(value);

/** The word that `bytes` are: four or eight. */
export function wordOf(bytes: Uint8Array): Word {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return bytes.length === 8 ? view.getBigUint64(0, true) : view.getUint32(0, true);
}

/** What a load has returned, on its way to bytes of any alignment. */
const loaded64 = new BigInt64Array(1);
const loaded32 = new Int32Array(loaded64.buffer, 0, 1);
const loaded = { 4: new Uint8Array(loaded64.buffer, 0, 4), 8: new Uint8Array(loaded64.buffer) };

/** Fills `into` by one load, if it is as long as a word and an aligned word lies at `offset`; says whether it did. */
export function loadWord(range: MappedRange, offset: number, into: Uint8Array): boolean {
  const { length } = into;
  if ((length !== 8 && length !== 4) || offset % length !== 0) return false;
  if (length === 8) {
    if (range.words64 === undefined) return false;
    loaded64[0] = Atomics.load(range.words64, offset / 8);
  } else {
    if (range.words32 === undefined) return false;
    loaded32[0] = Atomics.load(range.words32, offset / 4);
  }
  into.set(loaded[length]);
  return true;
}
