/**
 * Structures in memory (descriptors, write-back blocks) are declared with `registerBlock` too, so that card and guest
 * share one layout. These helpers give a codec the positions at run time, with the declaration's names checked.
 */
import type { BlockSpec } from './declaration';
import { bitMask, blockSizeBytes, layOutBlock } from './layout';
import type { FieldPath, RegisterPath, ValueAt } from './names';

/** Where a field lies: `(word & mask) >> shift` reads it. `V` is bigint in a 64-bit word, number in all others. */
export interface FieldPosition<V extends number | bigint> {
  /** Of the word that holds the field, in bytes from the start of the structure. */
  readonly offset: number;
  /** Of the field, in bits. */
  readonly width: number;
  readonly shift: V;
  /** All bits of the field, in place. */
  readonly mask: V;
}

/** Bytes from the start of the structure to the word `name`. */
export function offsetOf<S extends BlockSpec, P extends RegisterPath<S>>(structure: S, name: P): number {
  const declaration = structure[name];
  if (declaration === undefined) throw new RangeError(`There is no '${name}' in this structure.`);
  return declaration.offset;
}

/** Position of the field `WORD.FIELD`. */
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

/** Bytes that one structure takes: up to the end of its last word. */
export function sizeOf(structure: BlockSpec): number {
  return blockSizeBytes(structure);
}
