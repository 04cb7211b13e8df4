/**
 * Checks on the declaration of one register. Each throws a RegisterMapError that says what is wrong with which
 * register.
 */
import { type Access, ACCESS_KINDS } from './access';
import { nearestNames } from './nearest-names';

/** An invalid register map. Thrown while the map is built; the message names every register involved. */
export class RegisterMapError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'RegisterMapError';
  }
}

/** A number as messages show it. */
export const hex = (value: number | bigint): string => `0x${value.toString(16)}`;

export function checkFits(what: string, value: number | bigint, width: number): void {
  const whole = typeof value === 'bigint' || Number.isSafeInteger(value);
  if (!whole || value < 0 || BigInt(value) >> BigInt(width) !== 0n) {
    throw new RegisterMapError(
      `${what} ${whole ? hex(value) : value} does not fit into ${width} bit${width === 1 ? '' : 's'}.`,
    );
  }
}

interface BitRange {
  readonly name: string;
  readonly msb: number;
  readonly lsb: number;
}

/** @param fields sorted by bit number */
export function checkFields(path: string, width: number, fields: readonly BitRange[]): void {
  let below: BitRange | undefined;
  for (const field of fields) {
    if (field.msb >= width) {
      throw new RegisterMapError(
        `${path}.${field.name} [${field.msb}:${field.lsb}] does not fit into ${path}, which has ${width} bits.`,
      );
    }
    if (below && field.lsb <= below.msb) {
      throw new RegisterMapError(
        `${path}.${below.name} [${below.msb}:${below.lsb}] and ${path}.${field.name} [${field.msb}:${field.lsb}] overlap.`,
      );
    }
    below = field;
  }
}

/** Checks what registers and arrays of blocks have in common. */
export function checkEntry(
  path: string,
  name: string,
  entry: { readonly offset: number },
  keys: readonly string[],
): void {
  checkName(path, name);
  checkKeys(path, entry, keys);
  if (!Number.isSafeInteger(entry.offset) || entry.offset < 0) {
    throw new RegisterMapError(
      `${path} is at offset ${entry.offset}: an offset must be a whole number of bytes, 0 or more.`,
    );
  }
}

export function checkAlignment(path: string, width: number, offset: number): void {
  if (offset % (width / 8) === 0) return;
  throw new RegisterMapError(
    `${path} is misaligned: ${width} bits at ${hex(offset)}, which is not a multiple of ${width / 8}.`,
  );
}

/** Names become C macros and parts of paths. */
export function checkName(path: string, name: string): void {
  if (!/^[A-Za-z][A-Za-z0-9_]*$/.test(name)) {
    throw new RegisterMapError(
      `${path}: '${name}' is not a valid name; use letters, digits and _, starting with a letter.`,
    );
  }
}

/** TypeScript allows extra properties in a generic argument, so a misspelt one is found here. */
export function checkKeys(path: string, declaration: object, known: readonly string[]): void {
  const surplus = Object.keys(declaration).find((key) => !known.includes(key));
  if (surplus !== undefined) {
    throw new RegisterMapError(`${path} has an unknown property '${surplus}'; the known ones are ${known.join(', ')}.`);
  }
}

/** Declarations from JavaScript may have any access, role or effect. */
export function checkAccess(path: string, access: Access): void {
  if (ACCESS_KINDS.has(access)) return;
  const nearest = nearestNames(String(access), [...ACCESS_KINDS.keys()]);
  throw new RegisterMapError(
    `${path} has access '${String(access)}', which is none; the nearest are ${nearest.join(', ')}.`,
  );
}

export function checkChoice(path: string, what: string, value: string | undefined, known: readonly string[]): void {
  if (value === undefined || known.includes(value)) return;
  throw new RegisterMapError(`${path} has ${what} '${value}'; there are ${known.join(', ')}.`);
}
