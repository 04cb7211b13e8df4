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
  /** The path of the alias through which the register was written. */
  readonly alias?: string;
}

export type WriteHook<V extends number | bigint = number | bigint> = (write: RegisterWrite<V>) => void;

/** Returns the value that a read sees, given the stored state. Access rules still hide bits that are not readable. */
export type ReadHook<V extends number | bigint = number | bigint> = (stored: V) => V;

/** A bus access has changed the register's value. */
export type ChangeHook<V extends number | bigint = number | bigint> = (
  change: Pick<RegisterWrite<V>, 'value' | 'previous'>,
) => void;

/** The hooks of one register. The 8- and 16-bit registers of a word form a list, sorted by offset. */
export class Hooks {
  /**
   * Whose state and hooks are used: its own or, for an alias, those of its target. The words of an alias are a copy of
   * that state during an access (`fetch`, `putBack`) and mean nothing between accesses.
   */
  readonly home: Hooks;
  onWrite: WriteHook | undefined;
  onRead: ReadHook | undefined;
  onChange: ChangeHook | undefined;

  /**
   * @param word first word of the register
   * @param shift bit of the word at which the register starts
   * @param ones all bits of the register, at bit 0; of the lower word for 64 bits
   * @param wide whether the register takes two words; its values are `bigint` then
   * @param alias path of the alias, if it is one
   */
  constructor(
    readonly word: number,
    readonly shift: number,
    readonly ones: number,
    readonly wide: boolean,
    home: Hooks | undefined,
    readonly alias: string | undefined,
    public next: Hooks | undefined,
  ) {
    this.home = home ?? this;
  }
}

/** Copies the state of its target to the words of an alias. */
export function fetch(hooks: Hooks, words: Uint32Array): void {
  if (hooks.home !== hooks) copy(hooks.home, hooks, words);
}

/** Copies the words of an alias to the state of its target. */
export function putBack(hooks: Hooks, words: Uint32Array): void {
  if (hooks.home !== hooks) copy(hooks, hooks.home, words);
}

function copy(from: Hooks, to: Hooks, words: Uint32Array): void {
  words[to.word] = (words[to.word]! & ~bitsOf(to)) | (cut(words[from.word]!, from.shift, from.ones) << to.shift);
  if (to.wide) words[to.word + 1] = words[from.word + 1]!;
}

/** The bits of a word of the register that belong to it. */
export const bitsOf = ({ shift, ones }: Hooks): number => ones << shift;

/** The register's value when `word`, one of its words, is `part`. `words`: the other one of a 64-bit register. */
export function valueIn(hooks: Hooks, word: number, part: number, words?: Uint32Array): number | bigint {
  if (!hooks.wide) return cut(part, hooks.shift, hooks.ones);
  const other = words === undefined ? 0 : words[word === hooks.word ? word + 1 : word - 1]!;
  return word === hooks.word ? join(part, other) : join(other, part);
}

/** What a read of the register gets in `word`, after its read hook. Bits outside the register are undefined. */
export function readHooked(hooks: Hooks, word: number, words: Uint32Array): number {
  const { onRead } = hooks.home;
  if (onRead === undefined) return words[word]!;
  const driven = onRead(valueIn(hooks, word, words[word]!, words));
  if (typeof driven === 'bigint') return word === hooks.word ? lowOf(driven) : highOf(driven);
  return (driven & hooks.ones) << hooks.shift;
}

/** Runs the hooks of the register after a write of `data` to the bits in `mask` of `word`, one of its words. */
export function runWriteHooks(
  hooks: Hooks,
  word: number,
  words: Uint32Array,
  previous: number,
  data: number,
  mask: number,
): void {
  const { shift, ones, home } = hooks;
  if (home.onWrite === undefined && home.onChange === undefined) return;
  if (hooks.wide) {
    notify(hooks, {
      value: valueIn(hooks, word, words[word]!, words),
      previous: valueIn(hooks, word, previous, words),
      data: valueIn(hooks, word, data),
      mask: valueIn(hooks, word, mask),
    });
  } else {
    notify(hooks, {
      value: cut(words[word]!, shift, ones),
      previous: cut(previous, shift, ones),
      data: cut(data, shift, ones),
      mask: cut(mask, shift, ones),
    });
  }
}

export function notify({ home, alias }: Hooks, write: RegisterWrite): void {
  if (home.onWrite !== undefined) home.onWrite(alias === undefined ? write : { ...write, alias });
  if (home.onChange !== undefined && write.value !== write.previous) home.onChange(write);
}

/** The 64-bit value of two words. */
export const join = (low: number, high: number): bigint => (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);

export const lowOf = (value: bigint): number => Number(BigInt.asUintN(32, value));

export const highOf = (value: bigint): number => Number(BigInt.asUintN(32, value >> 32n));

/** The part of a word that belongs to a register or field, moved to bit 0. */
const cut = (word: number, shift: number, ones: number): number => ((word >>> shift) & ones) >>> 0;
