/**
 * Hooks: how a card reacts to a bus write of a register, and supplies the value of a bus read. A hook always gets the
 * value of the whole register, in the register's own bit positions, whichever bytes the access covered.
 */

/** A bus write, after the register's access rule has been applied. `V` is the register's value type. */
export interface RegisterWrite<V extends number | bigint = number | bigint> {
  /** The register's value after the write. */
  readonly value: V;
  /** The register's value before the write. */
  readonly previous: V;
  /** The data that was written, in place; bits outside `mask` are 0. */
  readonly data: V;
  /** The bits of the byte lanes that were written. */
  readonly mask: V;
}

export type WriteHook<V extends number | bigint = number | bigint> = (write: RegisterWrite<V>) => void;

/** Returns the value that a read sees, given the stored state. Access rules still hide bits that are not readable. */
export type ReadHook<V extends number | bigint = number | bigint> = (stored: V) => V;

/** The hooks of one register. The 8- and 16-bit registers of a word form a list, sorted by offset. */
export interface Hooks {
  /** First word of the register. */
  readonly word: number;
  /** Bit of the word at which the register starts. */
  readonly shift: number;
  /** All bits of the register, at bit 0; of the lower word for 64 bits. */
  readonly ones: number;
  /** Whether the register takes two words; its values are `bigint` then. */
  readonly wide: boolean;
  onWrite?: WriteHook;
  onRead?: ReadHook;
  next: Hooks | undefined;
}

/** The value that a read of `word` returns, after its read hooks. `mask`: bits of the byte lanes that are read. */
export function readHooked(first: Hooks, word: number, words: Uint32Array, mask: number): number {
  let value = words[word]!;
  for (let hooks: Hooks | undefined = first; hooks !== undefined; hooks = hooks.next) {
    const { shift, ones, onRead } = hooks;
    if (onRead === undefined || cut(mask, shift, ones) === 0) continue;
    if (hooks.wide) {
      const driven = onRead(join(words[hooks.word]!, words[hooks.word + 1]!)) as bigint;
      value = word === hooks.word ? lowOf(driven) : highOf(driven);
    } else {
      const driven = onRead(cut(words[word]!, shift, ones)) as number;
      value = (value & ~(ones << shift)) | ((driven & ones) << shift);
    }
  }
  return value;
}

/** Runs the write hooks of the registers in a word. `mask`: bits of the byte lanes that were written. */
export function runWriteHooks(
  first: Hooks,
  word: number,
  words: Uint32Array,
  previous: number,
  data: number,
  mask: number,
): void {
  const value = words[word]!;
  const driven = data & mask;
  for (let hooks: Hooks | undefined = first; hooks !== undefined; hooks = hooks.next) {
    const { shift, ones, onWrite } = hooks;
    if (onWrite === undefined || cut(mask, shift, ones) === 0) continue;
    if (!hooks.wide) {
      onWrite({
        value: cut(value, shift, ones),
        previous: cut(previous, shift, ones),
        data: cut(driven, shift, ones),
        mask: cut(mask, shift, ones),
      });
    } else if (word === hooks.word) {
      const high = words[word + 1]!;
      onWrite({ value: join(value, high), previous: join(previous, high), data: join(driven, 0), mask: join(mask, 0) });
    } else {
      const low = words[word - 1]!;
      onWrite({ value: join(low, value), previous: join(low, previous), data: join(0, driven), mask: join(0, mask) });
    }
  }
}

/** The 64-bit value of two words. */
export const join = (low: number, high: number): bigint => (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);

export const lowOf = (value: bigint): number => Number(BigInt.asUintN(32, value));

export const highOf = (value: bigint): number => Number(BigInt.asUintN(32, value >> 32n));

/** The part of a word that belongs to a register or field, moved to bit 0. */
const cut = (word: number, shift: number, ones: number): number => ((word >>> shift) & ones) >>> 0;
