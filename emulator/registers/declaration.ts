/**
 * How a card author declares registers: layout and access rules, as plain data without behaviour.
 *
 * Modelled on the register tables of hardware manuals. The access codes are those of PCI Express Base Specification
 * 6.0, section 7.4 ("Configuration Register Types"), spelt as in IP-XACT (IEEE 1685) and SystemRDL 2.0.
 */

/**
 * What a bus access does to a bit.
 * - `ro` read only; `rw` read and write; `wo` write only, reads 0.
 * - `w1c` reads the state; writing 1 clears the bit, writing 0 leaves it unchanged. `w1s` likewise; writing 1 sets it.
 * - `rc` reads the state, and the read clears it (only in the byte lanes that were read); writes are ignored.
 * - `reserved` reads 0; writes are ignored.
 */
export type Access = 'ro' | 'rw' | 'wo' | 'w1c' | 'w1s' | 'rc' | 'reserved';

/** Register width in bits. The value of a 64-bit register is a `bigint`, of all others a `number`. */
export type Width = 8 | 16 | 32 | 64;

/** One field: `[bit, doc]`, `[msb, lsb, doc]`, or the long form. The doc is one line and optional. */
export type FieldDeclaration =
  readonly [bit: number, doc?: string] | readonly [msb: number, lsb: number, doc?: string] | DetailedFieldDeclaration;

export interface DetailedFieldDeclaration {
  readonly bits: readonly [bit: number] | readonly [msb: number, lsb: number];
  /** Overrides the register's access for these bits. */
  readonly access?: Access;
  readonly reset?: number | bigint;
  readonly doc?: string;
  /** Names of field values; the values are given before shifting into place. */
  readonly values?: Readonly<Record<string, number>>;
}

export interface RegisterDeclaration {
  /** Bytes from the start of the map or block; a multiple of the register's size. */
  readonly offset: number;
  /** Bits. Default: 32. */
  readonly width?: Width;
  readonly access: Access;
  readonly reset?: number | bigint;
  readonly doc?: string;
  /** In a register with fields, all bits outside the fields are `reserved`. */
  readonly fields?: Readonly<Record<string, FieldDeclaration>>;
}

/** A group of registers that a map can contain several times. Offsets count from the start of the block. */
export type BlockSpec = Readonly<Record<string, RegisterDeclaration>>;

/** `count` blocks, the n-th at `offset + n * stride`. Their registers have the paths `NAME[n].REGISTER`. */
export interface BlockArrayDeclaration {
  readonly offset: number;
  /** Bytes from one block to the next; optional if there is only one block. */
  readonly stride?: number;
  /** Default: 1. */
  readonly count?: number;
  readonly doc?: string;
  readonly registers: BlockSpec;
}

export type MapSpec = Readonly<Record<string, RegisterDeclaration | BlockArrayDeclaration>>;

/** Whether an entry of a map is an array of blocks. */
export function isBlockArray(entry: RegisterDeclaration | BlockArrayDeclaration): entry is BlockArrayDeclaration {
  return 'registers' in entry;
}
