/**
 * What a card author writes down about registers: layout and access rules, as plain data without behaviour.
 *
 * Models the register tables of hardware manuals; the access codes are those of PCI Express Base Specification 6.0,
 * section 7.4 ("Configuration Register Types") in the spelling of IP-XACT (IEEE 1685) and SystemRDL 2.0.
 */

/**
 * What the bus may do to a bit.
 * - `ro` read only; `rw` read and write; `wo` write only, reads 0.
 * - `w1c` reads the state, writing 1 clears, writing 0 leaves alone; `w1s` likewise, writing 1 sets.
 * - `rc` reads the state and clears it by that read (only the byte lanes that were read); writes are ignored.
 * - `reserved` reads 0, writes are ignored.
 */
export type Access = 'ro' | 'rw' | 'wo' | 'w1c' | 'w1s' | 'rc' | 'reserved';

/** Register width in bits. Registers of 64 bits have `bigint` values, all others `number`. */
export type Width = 8 | 16 | 32 | 64;

/** One field: `[bit, doc]`, `[msb, lsb, doc]`, or the long form. The doc, one line, may be left out. */
export type FieldDeclaration =
  readonly [bit: number, doc?: string] | readonly [msb: number, lsb: number, doc?: string] | DetailedFieldDeclaration;

export interface DetailedFieldDeclaration {
  readonly bits: readonly [bit: number] | readonly [msb: number, lsb: number];
  /** Overrides the register's access for these bits. */
  readonly access?: Access;
  readonly reset?: number | bigint;
  readonly doc?: string;
  /** Names for values of the field, before shifting into place. */
  readonly values?: Readonly<Record<string, number>>;
}

export interface RegisterDeclaration {
  /** In bytes from the start of the map, or of the block; a multiple of the register's size. */
  readonly offset: number;
  /** Bits; 32 when left out. */
  readonly width?: Width;
  readonly access: Access;
  readonly reset?: number | bigint;
  readonly doc?: string;
  /** A register that names fields has no other bits: those outside every field are `reserved`. */
  readonly fields?: Readonly<Record<string, FieldDeclaration>>;
}

/** Registers that belong together and may be placed in a map several times. Offsets count from the block's start. */
export type BlockSpec = Readonly<Record<string, RegisterDeclaration>>;

/** `count` blocks, the n-th at `offset + n * stride`; paths name them `NAME[n].REGISTER`. */
export interface BlockArrayDeclaration {
  readonly offset: number;
  /** Bytes from one block to the next; may be left out when there is one block. */
  readonly stride?: number;
  /** 1 when left out. */
  readonly count?: number;
  readonly doc?: string;
  readonly registers: BlockSpec;
}

export type MapSpec = Readonly<Record<string, RegisterDeclaration | BlockArrayDeclaration>>;

/** Whether an entry of a map is an array of blocks. */
export function isBlockArray(entry: RegisterDeclaration | BlockArrayDeclaration): entry is BlockArrayDeclaration {
  return 'registers' in entry;
}
