/**
 * Meaning: what each access kind does to the bits of a 32-bit word.
 *
 * A map is handled as 32-bit words. An outcome (`keep`, `clear`, `set`, `toggle`) is two masks: the bits that are dropped
 * from the state, and those that are flipped in what remains. A partial access is the same computation with the bits of
 * the other byte lanes masked out; a 64-bit register is two words.
 */
import { ACCESS_KINDS, type Outcome } from './access';
import type { ResetKind } from './declaration';
import { bitMask, type FieldLayout, type RegisterLayout } from './register-layout';

/** `(state & ~drop) ^ flip` */
export interface OutcomeMasks {
  readonly drop: Uint32Array;
  readonly flip: Uint32Array;
}

export interface AccessMasks {
  /** Bits that a read returns. All others read 0. */
  readonly readable: Uint32Array;
  /** For bits that are written as 1, and as 0. */
  readonly one: OutcomeMasks;
  readonly zero: OutcomeMasks;
  /** Bits of which only the first write after a reset has an effect. */
  readonly once: Uint32Array;
  /** For bits that are read. */
  readonly read: OutcomeMasks;
  /** State after reset. */
  readonly reset: Uint32Array;
  /** Bits that a reset of this kind leaves as they are; absent when there are none. */
  readonly surviving: Readonly<Partial<Record<ResetKind, Uint32Array>>>;
}

/** @param registers sorted by offset; the masks cover all words up to the end of the last one */
export function accessMasks(registers: readonly RegisterLayout[]): AccessMasks {
  const last = registers.at(-1);
  const wordCount = last ? Math.ceil((last.offset + last.width / 8) / 4) : 0;
  const words = () => new Uint32Array(wordCount);
  const outcomes = () => ({ drop: words(), flip: words() });
  const masks = {
    ...{ readable: words(), one: outcomes(), zero: outcomes(), once: words(), read: outcomes(), reset: words() },
    surviving: {} as Partial<Record<ResetKind, Uint32Array>>,
  };
  for (const register of registers) {
    addBits(masks.reset, register.offset, register.reset);
    for (const { access, survives = [], msb, lsb } of accessRanges(register)) {
      const { write, read } = ACCESS_KINDS.get(access)!;
      const bits = bitMask(msb, lsb);
      if (read.shows) addBits(masks.readable, register.offset, bits);
      if (write.once) addBits(masks.once, register.offset, bits);
      addOutcome(masks.one, write.one, register.offset, bits);
      addOutcome(masks.zero, write.zero, register.offset, bits);
      addOutcome(masks.read, read.after, register.offset, bits);
      for (const kind of survives) addBits((masks.surviving[kind] ??= words()), register.offset, bits);
    }
  }
  return masks;
}

/** A register without fields is one range. In a register with fields, the bits outside them are reserved. */
function accessRanges(register: RegisterLayout): readonly Pick<FieldLayout, 'access' | 'survives' | 'msb' | 'lsb'>[] {
  return register.fields.length > 0 ? register.fields : [{ ...register, msb: register.width - 1, lsb: 0 }];
}

function addOutcome({ drop, flip }: OutcomeMasks, outcome: Outcome, offset: number, bits: bigint): void {
  if (outcome === 'clear' || outcome === 'set') addBits(drop, offset, bits);
  if (outcome === 'set' || outcome === 'toggle') addBits(flip, offset, bits);
}

function addBits(table: Uint32Array, offset: number, bits: bigint): void {
  const word = offset >>> 2;
  const placed = bits << BigInt((offset & 3) * 8);
  table[word]! |= Number(placed & 0xffff_ffffn);
  if (placed >> 32n) table[word + 1]! |= Number(placed >> 32n);
}
