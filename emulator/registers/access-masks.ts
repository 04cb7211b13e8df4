/**
 * Meaning: what each access rule does to the bits of a 32-bit word.
 *
 * A map is handled as 32-bit words, with one mask per rule and word for the bits that the rule applies to. A partial
 * access is the same computation with the bits of the other byte lanes masked out; a 64-bit register is two words.
 */
import type { Access } from './declaration';
import { bitMask, type RegisterLayout } from './layout';

export interface AccessMasks {
  /** Bits that a read returns. All others read 0. */
  readonly readable: Uint32Array;
  /** Bits that a write replaces. */
  readonly writable: Uint32Array;
  readonly clearedByOne: Uint32Array;
  readonly setByOne: Uint32Array;
  readonly clearedByRead: Uint32Array;
  /** State after reset. */
  readonly reset: Uint32Array;
}

/** @param registers sorted by offset; the masks cover all words up to the end of the last one */
export function accessMasks(registers: readonly RegisterLayout[]): AccessMasks {
  const last = registers.at(-1);
  const wordCount = last ? Math.ceil((last.offset + last.width / 8) / 4) : 0;
  const words = () => new Uint32Array(wordCount);
  const masks = {
    readable: words(),
    writable: words(),
    clearedByOne: words(),
    setByOne: words(),
    clearedByRead: words(),
    reset: words(),
  };
  const { readable, writable, clearedByOne, setByOne, clearedByRead } = masks;
  const tablesOf: Record<Access, readonly Uint32Array[]> = {
    ro: [readable],
    rw: [readable, writable],
    wo: [writable],
    w1c: [readable, clearedByOne],
    w1s: [readable, setByOne],
    rc: [readable, clearedByRead],
    reserved: [],
  };
  for (const register of registers) {
    addBits(masks.reset, register.offset, register.reset);
    for (const { access, msb, lsb } of accessRanges(register)) {
      for (const table of tablesOf[access]) addBits(table, register.offset, bitMask(msb, lsb));
    }
  }
  return masks;
}

/** A register without fields is one range. In a register with fields, the bits outside them are reserved. */
function accessRanges({
  fields,
  access,
  width,
}: RegisterLayout): readonly { access: Access; msb: number; lsb: number }[] {
  return fields.length > 0 ? fields : [{ access, msb: width - 1, lsb: 0 }];
}

function addBits(table: Uint32Array, offset: number, bits: bigint): void {
  const word = offset >>> 2;
  const placed = bits << BigInt((offset & 3) * 8);
  table[word]! |= Number(placed & 0xffff_ffffn);
  if (placed >> 32n) table[word + 1]! |= Number(placed >> 32n);
}
