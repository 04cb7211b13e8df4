/** What a register map is laid out as: every default filled in, every offset absolute. */
import { type Access } from './access';
import { type BlockSpec, type CardEffect, type ResetKind, type Role } from './declaration';

/** A field of a register, as it is laid out. */
export interface FieldLayout {
  readonly name: string;
  readonly msb: number;
  readonly lsb: number;
  /** Bits. */
  readonly width: number;
  readonly access: Access;
  /** Present where resets leave it as it is. */
  readonly survives?: readonly Exclude<ResetKind, 'power'>[];
  readonly doc: string;
  readonly role?: Role;
  readonly card?: CardEffect;
  readonly values: readonly { readonly name: string; readonly value: number }[];
}

/** A register, as it is laid out: every default filled in. */
export interface RegisterLayout {
  /** Name inside its block or map. */
  readonly name: string;
  /** Full name: `STATUS`, `H2C[0].STATUS`. */
  readonly path: string;
  /** Bytes from the start of the map. */
  readonly offset: number;
  readonly width: 8 | 16 | 32 | 64;
  readonly access: Access;
  readonly reset: bigint;
  /** Present where resets leave it as it is; its fields have their own. */
  readonly survives?: readonly Exclude<ResetKind, 'power'>[];
  readonly doc: string;
  /** Sorted by bit number. */
  readonly fields: readonly FieldLayout[];
  readonly role?: Role;
  readonly card?: CardEffect;
  /** The path of the register whose state it accesses. */
  readonly aliasOf?: string;
  readonly block?: { readonly name: string; readonly index: number };
}

/** An array of blocks with its defaults filled in. */
export interface BlockArrayLayout {
  readonly name: string;
  readonly offset: number;
  readonly stride: number;
  readonly count: number;
  readonly survives?: readonly Exclude<ResetKind, 'power'>[];
  readonly doc: string;
  readonly registers: BlockSpec;
}

/** All bits from `lsb` to `msb`, in place. */
export const bitMask = (msb: number, lsb: number): bigint => ((1n << BigInt(msb - lsb + 1)) - 1n) << BigInt(lsb);
