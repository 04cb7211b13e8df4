/**
 * Where the value behind a path is stored. The hardware side reads and writes its state this way, without access rules.
 * Values of up to 32 bits lie inside one word; those of a 64-bit register, including its fields, are `bigint`.
 */
import { hex } from './check';
import { highOf, join, lowOf } from './hooks';
import { bitMask, type RegisterLayout } from './register-layout';

export interface Location {
  /** Full path, for messages. */
  readonly path: string;
  readonly register: RegisterLayout;
  readonly word: number;
  readonly wide: boolean;
  /** First bit, counted from the lowest bit of `word`. */
  readonly shift: number;
  /** Bits. */
  readonly width: number;
  /** Largest value, which is also the mask at bit 0; a `number` unless `wide`. */
  readonly ones: number | bigint;
}

/** Locations of all registers and fields, by the names `nameOf(register)` and `nameOf(register).FIELD`. */
export function locate(
  registers: readonly RegisterLayout[],
  nameOf: (register: RegisterLayout) => string,
): ReadonlyMap<string, Location> {
  const locations = new Map<string, Location>();
  const offsets = new Map(registers.map(({ path, offset }) => [path, offset]));
  for (const register of registers) {
    const offset = offsets.get(register.aliasOf ?? register.path)!;
    locations.set(nameOf(register), location(register, offset, register.path, register.width - 1, 0));
    for (const { name, msb, lsb } of register.fields) {
      locations.set(`${nameOf(register)}.${name}`, location(register, offset, `${register.path}.${name}`, msb, lsb));
    }
  }
  return locations;
}

/** @param offset of the register that has the state: for an alias, its target */
function location(register: RegisterLayout, offset: number, path: string, msb: number, lsb: number): Location {
  const wide = register.width === 64;
  const ones = bitMask(msb - lsb, 0);
  return {
    path,
    register,
    word: offset >>> 2,
    wide,
    shift: (offset & 3) * 8 + lsb,
    width: msb - lsb + 1,
    ones: wide ? ones : Number(ones),
  };
}

export function load(words: Uint32Array, { wide, word, shift, ones }: Location): number | bigint {
  if (!wide) return ((words[word]! >>> shift) & (ones as number)) >>> 0;
  return (join(words[word]!, words[word + 1]!) >> BigInt(shift)) & (ones as bigint);
}

/** @throws RangeError when the value does not fit */
export function store(words: Uint32Array, location: Location, value: number | bigint): void {
  const { wide, word, shift, ones } = location;
  const fits = typeof value === typeof ones && value >= 0 && value <= ones && (wide || Number.isInteger(value));
  if (!fits) throw new RangeError(misfit(location, value));
  if (!wide) {
    words[word] = (words[word]! & ~((ones as number) << shift)) | ((value as number) << shift);
    return;
  }
  const mask = (ones as bigint) << BigInt(shift);
  const next = (join(words[word]!, words[word + 1]!) & ~mask) | ((value as bigint) << BigInt(shift));
  words[word] = lowOf(next);
  words[word + 1] = highOf(next);
}

function misfit({ path, width, ones }: Location, value: number | bigint): string {
  const kind = typeof ones === 'bigint' ? 'a bigint' : 'a whole number';
  return `Cannot set ${path} to ${String(value)} (${typeof value}): it has ${width} bits and takes ${kind} from 0 to ${hex(ones)}.`;
}
