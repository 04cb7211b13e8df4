/**
 * How a card author declares registers: layout and access rules, as plain data without behaviour.
 *
 * Modelled on the register tables of hardware manuals.
 */
import { type Access } from './access';

/**
 * What resets a function (PCI Express Base Specification 5.0, sections 6.6 and 5.3.1.4), as far as its end of the link can
 * distinguish.
 * - `device`: a conventional reset through the slot: secondary bus reset, VFIO hot reset, restart of the machine.
 * - `flr`: a function-level reset, by Initiate Function Level Reset in Device Control.
 * - `d3hot`: the return from D3hot to D0 of a function whose No_Soft_Reset bit is 0.
 * - `link-down`: the link of the slot has gone down.
 * - `power`: the card has lost its power.
 */
export type ResetKind = 'device' | 'flr' | 'd3hot' | 'link-down' | 'power';
export const RESET_KINDS = ['device', 'flr', 'd3hot', 'link-down', 'power'] as const satisfies readonly ResetKind[];

/** The resets that leave a value as it is; `sticky`: all but the loss of power, as for the sticky bits of section 7.4. */
export type Survives = 'sticky' | readonly Exclude<ResetKind, 'power'>[];
export type SurvivableReset = Exclude<ResetKind, 'power'>;

/** What a register or field holds, for tools: an error; a state that a driver waits for; data that changes by itself. */
export type Role = 'error' | 'status' | 'data';
export const ROLES = ['error', 'status', 'data'] as const satisfies readonly Role[];

/**
 * How the card itself changes a writable bit, beside what the driver writes ("hardware set", "hardware cleared" in data
 * sheets). A driver that reads, modifies and writes such a register can undo what the card does in between.
 */
export type CardEffect = 'sets' | 'clears' | 'changes';
export const CARD_EFFECTS = ['sets', 'clears', 'changes'] as const satisfies readonly CardEffect[];

/** One field: `[bit, doc]`, `[msb, lsb, doc]`, or the long form. The doc is one line and optional. */
export type FieldDeclaration =
  | readonly [bit: number, doc?: string]
  | readonly [msb: number, lsb: number, doc?: string]
  | {
      readonly bits: readonly [bit: number] | readonly [msb: number, lsb: number];
      /** Overrides the register's access for these bits. */
      readonly access?: Access;
      readonly reset?: number | bigint;
      /** Overrides the register's `survives` for these bits. */
      readonly survives?: Survives;
      readonly doc?: string;
      readonly role?: Role;
      /** Declares bits that the card owns too. Bits that only the card changes are `ro` in a writable register. */
      readonly card?: CardEffect;
      /** Names of field values; the values are given before shifting into place. */
      readonly values?: Readonly<Record<string, number>>;
    };

export type DetailedFieldDeclaration = Extract<FieldDeclaration, { readonly bits: unknown }>;

/** A register: where it is, who may access it how, and its fields. */
export interface RegisterDeclaration {
  /** Bytes from the start of the map or block; a multiple of the register's size. */
  readonly offset: number;
  /**
   * Bits. Default: 32, or that of the register of which it is an alias. The value of a 64-bit register is a `bigint`, of
   * all others a `number`.
   */
  readonly width?: 8 | 16 | 32 | 64;
  /** Of all bits, except of fields that declare their own. */
  readonly access: Access;
  /**
   * The name of a register of the same map or block: this one has no state of its own, but accesses that register with
   * another access kind. It has the same fields; those that are `ro` or `reserved` there stay so. Neither `reset` nor
   * `fields` can be declared.
   */
  readonly aliasOf?: string;
  readonly reset?: number | bigint;
  /** The resets that leave it as it is: `['flr']` for logic without an FLR input. Default: that of its block or map. */
  readonly survives?: Survives;
  readonly doc?: string;
  readonly role?: Role;
  readonly card?: CardEffect;
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
  /** For registers that do not declare it. Default: that of the map. */
  readonly survives?: Survives;
  readonly doc?: string;
  readonly registers: BlockSpec;
}

/** The declaration of a register map: registers, blocks and arrays of blocks by name. */
export type MapSpec = Readonly<Record<string, RegisterDeclaration | BlockArrayDeclaration>>;

/** Whether an entry of a map is an array of blocks. */
export function isBlockArray(entry: RegisterDeclaration | BlockArrayDeclaration): entry is BlockArrayDeclaration {
  return 'registers' in entry;
}
