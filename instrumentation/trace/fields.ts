/**
 * How the fields of an event lie in the file: what writes a field, what reads it, and how the documentation calls that.
 * The rows of `kinds.ts` are made of these.
 */
import { type RegisterLayout } from '../../emulator/registers';
import { type CardDescription, type RegisterSpace } from './card-description';
import { type WrittenPiece } from './event';

/** Takes values for the file. */
export interface ValueWriter {
  number(value: number): void;
  boolean(value: boolean): void;
  text(value: string): void;
  binary(value: Uint8Array): void;
  nil(): void;
  /** Anything else; slower. */
  any(value: unknown): void;
}

export interface Field<T> {
  /** For the documentation: `number`, `text or nil`; '' for a field that lies in the place of the one before it. */
  readonly form: string;
  /** How many values it takes in the file. */
  readonly values: 0 | 1 | 2;
  readonly write: (out: ValueWriter, value: T, event: object) => void;
  /** `values` are the event's, `at` is where the field's own begin. Undefined: the event does not have the field. */
  readonly read: (values: readonly unknown[], at: number) => T | undefined;
}

const own = <T>(values: readonly unknown[], at: number): T => values[at] as T;

export const number: Field<number> = { form: 'number', values: 1, write: (out, value) => out.number(value), read: own };

export const boolean: Field<boolean> = {
  ...{ form: 'boolean', values: 1, write: (out, value) => out.boolean(value), read: own },
};

/** True, or left out. */
export const flag: Field<true | undefined> = {
  ...{ form: 'boolean', values: 1, write: (out, value) => out.boolean(value === true) },
  read: (values, at) => (values[at] === true ? true : undefined),
};

export const text = <T extends string>(): Field<T> => ({
  ...{ form: 'text', values: 1, write: (out, value) => out.text(value), read: own },
});

export const booleans: Field<readonly boolean[]> = {
  ...{ form: 'array of boolean', values: 1, write: (out, value) => out.any(value), read: own },
};

const PIECE_VALUES = 4;

export const pieces: Field<readonly WrittenPiece[]> = {
  form: 'array of number, four for each: `offset`, `end`, `sizeBytes`, `place`',
  values: 1,
  write: (out, value) => out.any(value.flatMap(({ offset, end, sizeBytes, place }) => [offset, end, sizeBytes, place])),
  read: (values, at) => {
    const numbers = own<readonly number[]>(values, at);
    return Array.from({ length: numbers.length / PIECE_VALUES }, (_, piece) => {
      const [offset = 0, end = 0, sizeBytes = 0, place = 0] = numbers.slice(PIECE_VALUES * piece);
      return { offset, end, sizeBytes, place };
    });
  },
};

/** A plain object. */
export const map = <T extends object>(): Field<T> => ({
  ...{ form: 'map', values: 1, write: (out, value) => out.any(value), read: own },
});

export const optional = <T>({ form, write, read }: Field<T>): Field<T | undefined> => ({
  form: `${form} or nil`,
  values: 1,
  write: (out, value, event) => (value === undefined ? out.nil() : write(out, value, event)),
  read: (values, at) => (values[at] === null || values[at] === undefined ? undefined : read(values, at)),
});

/** The bytes of an access. */
export const accessData: Field<Uint8Array> = {
  form: 'size as number, then a number (little-endian) up to 4 bytes, bin beyond',
  values: 2,
  write: (out, data) => {
    out.number(data.length);
    if (data.length > 4) out.binary(data);
    else out.number(numberOf(data));
  },
  read: (values, at) => {
    const [sizeBytes, value] = [own<number>(values, at), values[at + 1]];
    if (typeof value !== 'number') return value as Uint8Array;
    return Uint8Array.from({ length: sizeBytes }, (_, i) => (value / 256 ** i) & 0xff);
  },
};

/** The bytes of a DMA access. `payloadHash` comes next, and lies in their place when they are not there. */
export const payload: Field<Uint8Array | undefined> = {
  form: 'bin, or `hash` as text, or nil',
  values: 1,
  write: (out, data, { hash }: { readonly hash?: string }) => {
    if (data) out.binary(data);
    else if (hash === undefined) out.nil();
    else out.text(hash);
  },
  read: (values, at) => (values[at] instanceof Uint8Array ? values[at] : undefined),
};
export const payloadHash: Field<string | undefined> = {
  form: '',
  values: 0,
  write: () => {},
  read: (values, at) => (typeof values[at - 1] === 'string' ? own(values, at - 1) : undefined),
};

export const cardDescription: Field<CardDescription> = {
  form: 'map; reset values of registers as hexadecimal text',
  values: 1,
  write: (out, value) => out.any(withResets(value, (reset) => reset.toString(16))),
  read: (values, at) => withResets(own<WithResets<string>>(values, at), (reset) => BigInt(`0x${reset}`)),
};

/** A card's description with reset values of another type: neither the file nor JSON knows `bigint`. */
type WithResets<Reset> = Omit<CardDescription, 'registers'> & {
  readonly registers: readonly (Omit<RegisterSpace, 'registers'> & {
    readonly registers: readonly (Omit<RegisterLayout, 'reset'> & { readonly reset: Reset })[];
  })[];
};

export function withResets<From, To>(from: WithResets<From>, convert: (reset: From) => To): WithResets<To> {
  const registers = from.registers.map((space) => ({
    ...space,
    registers: space.registers.map((register) => ({ ...register, reset: convert(register.reset) })),
  }));
  return { ...from, registers };
}

/** Little-endian, at most 4 bytes. */
export function numberOf(data: Uint8Array): number {
  let value = 0;
  for (let i = data.length; i-- > 0;) value = (value << 8) | data[i]!;
  return value >>> 0;
}
