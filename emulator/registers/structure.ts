/**
 * Structures in memory (descriptors, write-back blocks) are declared with `registerBlock` too, so that card and guest
 * share one layout. These functions give a codec the positions at run time; names are checked against the declaration.
 */
import type { BlockSpec } from './declaration';
import { blockSizeBytes, layOutBlock } from './layout';
import { bitMask } from './register-layout';
import type { FieldPath, RegisterPath, ValueAt } from './names';

/** Position of a field: `(word & mask) >> shift` reads it. `V` is `bigint` in a 64-bit word, `number` in all others. */
export interface FieldPosition<V extends number | bigint> {
  /** Offset of the word that contains the field, in bytes from the start of the structure. */
  readonly offset: number;
  /** Width of the field in bits. */
  readonly width: number;
  readonly shift: V;
  /** All bits of the field, in place. */
  readonly mask: V;
}

/** Offset of the word `name`, in bytes from the start of the structure. @throws RangeError if there is none */
export function offsetOf<S extends BlockSpec, P extends RegisterPath<S>>(structure: S, name: P): number {
  const declaration = structure[name];
  if (declaration === undefined) throw new RangeError(`There is no '${name}' in this structure.`);
  return declaration.offset;
}

/** Position of the field `WORD.FIELD`. @throws RangeError if there is none */
export function fieldOf<S extends BlockSpec, P extends FieldPath<S> & string>(
  structure: S,
  path: P,
): FieldPosition<ValueAt<S, P>> {
  return findField(structure, path) as FieldPosition<ValueAt<S, P>>;
}

function findField(structure: BlockSpec, path: string): FieldPosition<number | bigint> {
  for (const word of layOutBlock(structure)) {
    const field = word.fields.find(({ name }) => `${word.name}.${name}` === path);
    if (!field) continue;
    const { width, lsb, msb } = field;
    const wide = word.width === 64;
    const mask = bitMask(msb, lsb);
    return { offset: word.offset, width, shift: wide ? BigInt(lsb) : lsb, mask: wide ? mask : Number(mask) };
  }
  throw new RangeError(`There is no field '${path}' in this structure.`);
}

/** Size of one structure in bytes, up to the end of its last word. */
export function sizeOf(structure: BlockSpec): number {
  return blockSizeBytes(structure);
}
