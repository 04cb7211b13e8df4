/**
 * State: the bits of one register file. Bus accesses of any size and alignment are resolved here and nowhere else.
 *
 * An access is carried out word by word, lower address first, as on a 32-bit bus. Only an access that covers a whole
 * 64-bit register is a single event for that register. Byte lanes outside the access are neither changed, cleared nor
 * set. Bytes outside the map read 0, and writes to them are ignored.
 *
 * This file is the hot path of every register access: an aligned 32-bit access touches only typed arrays, and allocates
 * nothing unless a write hook runs. The index is checked once per word, hence the `!` after typed arrays.
 */
import type { AccessMasks } from './access-masks';
import { highOf, type Hooks, join, lowOf, readHooked, runWriteHooks } from './hooks';
import type { RegisterLayout } from './layout';

const ALL_LANES = 0xffff_ffff;

export class RegisterStorage {
  readonly words: Uint32Array;
  /** Per word: the hooks of the registers in it. A 64-bit register is in both of its words. */
  readonly #hooks: (Hooks | undefined)[];
  readonly #masks: AccessMasks;
  /** Offset of the end of the last register, in bytes. */
  readonly #endOffset: number;

  constructor(masks: AccessMasks) {
    this.#masks = masks;
    this.words = masks.reset.slice();
    this.#endOffset = this.words.length * 4;
    this.#hooks = new Array<Hooks | undefined>(this.words.length).fill(undefined);
  }

  /** The hooks of a register. The first call creates empty ones. */
  hooksOf({ offset, width }: RegisterLayout): Hooks {
    const word = offset >>> 2;
    const shift = (offset & 3) * 8;
    let before: Hooks | undefined;
    let after = this.#hooks[word];
    while (after !== undefined && after.shift < shift) [before, after] = [after, after.next];
    if (after?.shift === shift) return after;
    const hooks: Hooks = { word, shift, ones: width >= 32 ? -1 : (1 << width) - 1, wide: width === 64, next: after };
    if (before) before.next = hooks;
    else this.#hooks[word] = hooks;
    if (hooks.wide) this.#hooks[word + 1] = hooks;
    return hooks;
  }

  reset(): void {
    this.words.set(this.#masks.reset);
  }

  read(offset: number, data: Uint8Array): void {
    if (data.length === 4 && (offset & 3) === 0 && offset < this.#endOffset) {
      const value = this.#readWord(offset >>> 2, ALL_LANES);
      data[0] = value;
      data[1] = value >>> 8;
      data[2] = value >>> 16;
      data[3] = value >>> 24;
    } else {
      this.#readAny(offset, data);
    }
  }

  write(offset: number, data: Uint8Array): void {
    if (data.length === 4 && (offset & 3) === 0 && offset < this.#endOffset) {
      const value = data[0]! | (data[1]! << 8) | (data[2]! << 16) | (data[3]! << 24);
      this.#writeWord(offset >>> 2, value, ALL_LANES);
    } else {
      this.#writeAny(offset, data);
    }
  }

  #readAny(offset: number, data: Uint8Array): void {
    const end = offset + data.length;
    for (let word = Math.floor(offset / 4); word * 4 < end; word++) {
      const wide = this.#wideWithin(word, offset, end);
      if (wide) {
        const value = this.#readWide(wide);
        copyOut(lowOf(value), word * 4 - offset, data);
        copyOut(highOf(value), word * 4 + 4 - offset, data);
        word++;
      } else {
        copyOut(this.#readWord(word, lanes(word, offset, end)), word * 4 - offset, data);
      }
    }
  }

  #writeAny(offset: number, data: Uint8Array): void {
    const end = offset + data.length;
    for (let word = Math.floor(offset / 4); word * 4 < end; word++) {
      const value = copyIn(word * 4 - offset, data);
      const wide = this.#wideWithin(word, offset, end);
      if (wide) {
        this.#writeWide(wide, value, copyIn(word * 4 + 4 - offset, data));
        word++;
      } else {
        this.#writeWord(word, value, lanes(word, offset, end));
      }
    }
  }

  /** The hooks of the 64-bit register that starts at `word`, if the access from `offset` to `end` covers all of it. */
  #wideWithin(word: number, offset: number, end: number): Hooks | undefined {
    const hooks = this.#hooks[word];
    return hooks?.wide && hooks.word === word && word * 4 >= offset && word * 4 + 8 <= end ? hooks : undefined;
  }

  /** @param mask bits of the byte lanes that the access covers */
  #readWord(word: number, mask: number): number {
    if (word >= this.words.length) return 0;
    const masks = this.#masks;
    const hooked = this.#hooks[word];
    const state = hooked === undefined ? this.words[word]! : readHooked(hooked, word, this.words, mask);
    const clears = masks.clearedByRead[word]!;
    if (clears !== 0) this.words[word]! &= ~(clears & mask);
    return state & masks.readable[word]!;
  }

  #writeWord(word: number, data: number, mask: number): void {
    if (word >= this.words.length) return;
    const previous = this.words[word]!;
    this.words[word] = this.#applyWrite(word, data, mask);
    const hooked = this.#hooks[word];
    if (hooked !== undefined) runWriteHooks(hooked, word, this.words, previous, data, mask);
  }

  #readWide({ word: low, onRead }: Hooks): bigint {
    const stored = join(this.words[low]!, this.words[low + 1]!);
    const state = onRead === undefined ? stored : BigInt.asUintN(64, onRead(stored) as bigint);
    const { clearedByRead, readable } = this.#masks;
    this.words[low]! &= ~clearedByRead[low]!;
    this.words[low + 1]! &= ~clearedByRead[low + 1]!;
    return state & join(readable[low]!, readable[low + 1]!);
  }

  #writeWide({ word: low, onWrite }: Hooks, lowData: number, highData: number): void {
    const previous = join(this.words[low]!, this.words[low + 1]!);
    this.words[low] = this.#applyWrite(low, lowData, ALL_LANES);
    this.words[low + 1] = this.#applyWrite(low + 1, highData, ALL_LANES);
    onWrite?.({
      value: join(this.words[low]!, this.words[low + 1]!),
      previous,
      data: join(lowData, highData),
      mask: 0xffff_ffff_ffff_ffffn,
    });
  }

  /** The value of the word after a write of `data` to the bits in `mask`. */
  #applyWrite(word: number, data: number, mask: number): number {
    const masks = this.#masks;
    const written = masks.writable[word]! & mask;
    const driven = data & mask;
    const replaced = (this.words[word]! & ~written) | (driven & written);
    return (replaced & ~(driven & masks.clearedByOne[word]!)) | (driven & masks.setByOne[word]!);
  }
}

/** The bits of `word` that lie between the byte offsets `start` and `end`. */
function lanes(word: number, start: number, end: number): number {
  const below = Math.max(0, start - word * 4) * 8;
  const above = Math.max(0, word * 4 + 4 - end) * 8;
  return (ALL_LANES << below) & (ALL_LANES >>> above);
}

/** Copies the bytes of a word to `position` of `data`, leaving out those that fall outside. */
function copyOut(value: number, position: number, data: Uint8Array): void {
  for (let byte = 0; byte < 4; byte++) {
    const index = position + byte;
    if (index >= 0 && index < data.length) data[index] = value >>> (byte * 8);
  }
}

/** The word at `position` of `data`. Bytes outside are 0. */
function copyIn(position: number, data: Uint8Array): number {
  let value = 0;
  for (let byte = 0; byte < 4; byte++) value |= (data[position + byte] ?? 0) << (byte * 8);
  return value;
}
