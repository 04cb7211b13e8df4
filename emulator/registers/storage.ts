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
import type { ResetKind } from './declaration';
import {
  bitsOf,
  fetch,
  highOf,
  Hooks,
  join,
  lowOf,
  notify,
  putBack,
  readHooked,
  runWriteHooks,
  valueIn,
} from './hooks';
import type { RegisterLayout } from './register-layout';

const ALL_LANES = 0xffff_ffff;

export class RegisterStorage {
  readonly words: Uint32Array;
  /** Per word: the hooks of the registers in it. A 64-bit register is in both of its words. */
  readonly #hooks: (Hooks | undefined)[];
  readonly #masks: AccessMasks;
  /** Bits that have been written since a reset, of those that can be written once. */
  readonly #written: Uint32Array;
  /** Offset of the end of the last register, in bytes. */
  readonly #endOffset: number;

  /** @param registers those of `masks` */
  constructor(masks: AccessMasks, registers: readonly RegisterLayout[]) {
    this.#masks = masks;
    this.#written = new Uint32Array(masks.once.length);
    this.words = masks.reset.slice();
    this.#endOffset = this.words.length * 4;
    this.#hooks = new Array<Hooks | undefined>(this.words.length).fill(undefined);
    const byPath = new Map(registers.map((register) => [register.path, register]));
    for (const register of registers) {
      if (register.aliasOf !== undefined) this.hooksOf(register, this.hooksOf(byPath.get(register.aliasOf)!));
    }
  }

  /** The hooks of a register. The first call creates empty ones. */
  hooksOf({ offset, width, path, aliasOf }: RegisterLayout, home?: Hooks): Hooks {
    const word = offset >>> 2;
    const shift = (offset & 3) * 8;
    let before: Hooks | undefined;
    let after = this.#hooks[word];
    while (after !== undefined && after.shift < shift) [before, after] = [after, after.next];
    if (after?.shift === shift) return after;
    const ones = width >= 32 ? -1 : (1 << width) - 1;
    const alias = aliasOf === undefined ? undefined : path;
    const hooks = new Hooks(word, shift, ones, width === 64, home, alias, after);
    if (before) before.next = hooks;
    else this.#hooks[word] = hooks;
    if (hooks.wide) this.#hooks[word + 1] = hooks;
    return hooks;
  }

  /** Without a kind, all bits. */
  reset(kind?: ResetKind): void {
    const { reset, surviving } = this.#masks;
    const kept = kind && surviving[kind];
    for (let word = 0; word < this.words.length; word++) {
      const bits = kept?.[word] ?? 0;
      this.words[word] = (this.words[word]! & bits) | (reset[word]! & ~bits);
      this.#written[word]! &= bits;
    }
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
    const hooked = this.#hooks[word];
    const state = hooked === undefined ? this.words[word]! : this.#readHooked(hooked, word, mask);
    if (hooked === undefined) this.#afterRead(word, mask);
    return state & this.#masks.readable[word]!;
  }

  #readHooked(first: Hooks, word: number, mask: number): number {
    let state = this.words[word]!;
    let rest = mask;
    for (let hooks: Hooks | undefined = first; hooks !== undefined; hooks = hooks.next) {
      const bits = bitsOf(hooks);
      if ((mask & bits) === 0) continue;
      fetch(hooks, this.words);
      state = (state & ~bits) | (readHooked(hooks, word, this.words) & bits);
      this.#afterRead(word, mask & bits, hooks);
      rest &= ~bits;
    }
    this.#afterRead(word, rest);
    return state;
  }

  /** The side effect of a read of the bits in `mask`; `hooks`: of the register that they belong to. */
  #afterRead(word: number, mask: number, hooks?: Hooks): void {
    const { drop, flip } = this.#masks.read;
    if ((drop[word]! & mask) === 0) return;
    if (hooks !== undefined) fetch(hooks, this.words); // its read hook may have changed it
    const previous = this.words[word]!;
    this.words[word] = (previous & ~(drop[word]! & mask)) ^ (flip[word]! & mask);
    if (hooks === undefined) return;
    const value = valueIn(hooks, word, this.words[word], this.words);
    putBack(hooks, this.words);
    const before = valueIn(hooks, word, previous, this.words);
    if (value !== before) hooks.home.onChange?.({ value, previous: before });
  }

  #writeWord(word: number, data: number, mask: number): void {
    if (word >= this.words.length) return;
    const hooked = this.#hooks[word];
    if (hooked === undefined) this.#applyWrite(word, data, mask);
    else this.#writeHooked(hooked, word, data, mask);
  }

  #writeHooked(first: Hooks, word: number, data: number, mask: number): void {
    const { words } = this;
    let stored = mask;
    for (let hooks: Hooks | undefined = first; hooks !== undefined; hooks = hooks.next) {
      if (hooks.home !== hooks) stored &= ~bitsOf(hooks);
    }
    const before = words[word]!;
    this.#applyWrite(word, data, stored);
    for (let hooks: Hooks | undefined = first; hooks !== undefined; hooks = hooks.next) {
      const bits = mask & bitsOf(hooks);
      if (bits === 0) continue;
      let previous = before;
      if (hooks.home !== hooks) {
        fetch(hooks, words);
        previous = words[word]!;
        this.#applyWrite(word, data, bits);
        putBack(hooks, words);
      }
      runWriteHooks(hooks, word, words, previous, data & mask, mask);
    }
  }

  #readWide(hooks: Hooks): bigint {
    const { words } = this;
    const { word: low } = hooks;
    const { onRead, onChange } = hooks.home;
    fetch(hooks, words);
    const stored = join(words[low]!, words[low + 1]!);
    const state = onRead === undefined ? stored : BigInt.asUintN(64, onRead(stored) as bigint);
    const { read, readable } = this.#masks;
    if ((read.drop[low]! | read.drop[low + 1]!) !== 0) {
      fetch(hooks, words);
      const previous = join(words[low]!, words[low + 1]!);
      this.#afterRead(low, ALL_LANES);
      this.#afterRead(low + 1, ALL_LANES);
      const value = join(words[low]!, words[low + 1]!);
      putBack(hooks, words);
      if (value !== previous) onChange?.({ value, previous });
    }
    return state & join(readable[low]!, readable[low + 1]!);
  }

  #writeWide(hooks: Hooks, lowData: number, highData: number): void {
    const { words } = this;
    const { word: low } = hooks;
    fetch(hooks, words);
    const previous = join(words[low]!, words[low + 1]!);
    this.#applyWrite(low, lowData, ALL_LANES);
    this.#applyWrite(low + 1, highData, ALL_LANES);
    putBack(hooks, words);
    const value = join(words[low]!, words[low + 1]!);
    notify(hooks, { value, previous, data: join(lowData, highData), mask: 0xffff_ffff_ffff_ffffn });
  }

  /** Changes the word as a write of `data` to the bits in `mask` does. */
  #applyWrite(word: number, data: number, mask: number): void {
    const { one, zero, once } = this.#masks;
    let written = mask;
    if (once[word] !== 0) {
      written &= ~this.#written[word]!;
      this.#written[word]! |= mask & once[word]!;
    }
    const ones = data & written;
    const zeros = ~data & written;
    const kept = this.words[word]! & ~((ones & one.drop[word]!) | (zeros & zero.drop[word]!));
    this.words[word] = kept ^ ((ones & one.flip[word]!) | (zeros & zero.flip[word]!));
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
