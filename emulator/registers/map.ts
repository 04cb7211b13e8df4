/**
 * The register map of one BAR, or of configuration space. It is declared once, shared by every instance of the card,
 * and the single source of the register file, the C header for the guest and the documentation.
 */
import { hex, RegisterMapError } from './check';
import { type BlockSpec, isBlockArray, type MapSpec, type Survives } from './declaration';
import { byOffset, layOutBlockArray, layOutMap } from './layout';
import { type BlockArrayLayout, type RegisterLayout } from './register-layout';

const SMALLEST_DEFAULT_BYTES = 4096;

/** A declared register map: shared by all instances of a card. */
export interface RegisterMap<S extends MapSpec = MapSpec> {
  /** The declaration that the map was built from. */
  readonly spec: S;
  /** A power of two. */
  readonly sizeBytes: number;
  /** Every register, including those of all blocks, sorted by offset. */
  readonly registers: readonly RegisterLayout[];
  /** @internal The arrays of blocks. */
  readonly blocks: readonly BlockArrayLayout[];
}

/**
 * Builds a map.
 * @param options.sizeBytes a power of two that holds all registers; default: the smallest one from 4096 on
 * @param options.survives the resets that leave the registers as they are, unless they declare it themselves
 * @throws RegisterMapError when registers overlap, are misaligned or do not fit; the message names them
 */
export function registerMap<const S extends MapSpec>(
  spec: S,
  options: { sizeBytes?: number; survives?: Survives } = {},
): RegisterMap<S> {
  const registers = layOutMap(spec, options.survives).sort((a, b) => a.offset - b.offset);
  const endBytes = checkOverlap(registers);
  const sizeBytes = options.sizeBytes ?? Math.max(SMALLEST_DEFAULT_BYTES, 2 ** Math.ceil(Math.log2(endBytes)));
  if (!Number.isInteger(Math.log2(sizeBytes)) || sizeBytes < 4) {
    throw new RegisterMapError(`The map's sizeBytes is ${sizeBytes}: it must be a power of two, at least 4.`);
  }
  const last = registers.at(-1);
  if (last && endBytes > sizeBytes) {
    throw new RegisterMapError(`${describe(last)} lies outside the map, whose sizeBytes is ${hex(sizeBytes)}.`);
  }
  const blocks = Object.entries(spec).flatMap(([name, entry]) =>
    isBlockArray(entry) ? [layOutBlockArray(name, entry, options.survives)] : [],
  );
  return Object.freeze({ spec, sizeBytes, registers, blocks });
}

/**
 * Declares a block of registers that several maps, or several places of one map, share. Also declares the layout of a
 * structure in host memory (little-endian, no padding but what is declared). Runs the checks of `registerMap` and
 * returns the declaration.
 */
export function registerBlock<const S extends BlockSpec>(spec: S): S {
  checkOverlap(byOffset(spec));
  return Object.freeze(spec);
}

/** @param registers sorted by offset @returns bytes up to the end of the last register */
function checkOverlap(registers: readonly RegisterLayout[]): number {
  let below: RegisterLayout | undefined;
  for (const register of registers) {
    if (below && register.offset < endOf(below)) {
      throw new RegisterMapError(`${describe(below)} and ${describe(register)} overlap.`);
    }
    below = register;
  }
  return below ? endOf(below) : 0;
}

const endOf = ({ offset, width }: RegisterLayout): number => offset + width / 8;

const describe = ({ path, offset, width }: RegisterLayout): string => `${path} (${width} bits at ${hex(offset)})`;
