/**
 * How the fields of an event lie in the file: what writes a field, what reads it, and how the documentation calls that.
 * The rows of `kinds.ts` are made of these.
 */
import { type DmaReference } from '../../emulator/pci';
import { type RegisterLayout } from '../../emulator/registers';
import { type CardDescription, type RegisterSpace } from './card-description';
import { cardShape } from './card-shape';
import { type WrittenPiece } from './event';
import { isWhole, mapOf, oneOf as oneOfWords, type Problems, type Shape, whole, wordOneOf, wordWhole } from './shapes';

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
  /**
   * `values` are the event's, `at` is where the field's own begin. Undefined: the event does not have the field, or it is
   * damaged, which `problems` then has.
   */
  readonly read: (values: readonly unknown[], at: number, problems: Problems) => T | undefined;
}

/** A whole number from 0 on. */
export const numberUpTo = (most?: number): Field<number> => ({
  ...{ form: 'number', values: 1, write: (out, value) => out.number(value) },
  read: (values, at, problems) => {
    const value = values[at];
    return isWhole(value, most) ? value : void problems.wrong(value, wordWhole(most));
  },
});
export const number = numberUpTo();

export const boolean: Field<boolean> = {
  ...{ form: 'boolean', values: 1, write: (out, value) => out.boolean(value) },
  read: (values, at, problems) => {
    const value = values[at];
    return typeof value === 'boolean' ? value : void problems.wrong(value, 'true or false');
  },
};

/** True, or left out, as in recordings of builds that did not have it. */
export const flag: Field<true | undefined> = {
  ...{ form: 'boolean', values: 1, write: (out, value) => out.boolean(value === true) },
  read: (values, at, problems) =>
    values[at] === undefined ? undefined : boolean.read(values, at, problems) || undefined,
};

export const text: Field<string> = {
  ...{ form: 'text', values: 1, write: (out, value) => out.text(value) },
  read: (values, at, problems) => {
    const value = values[at];
    return typeof value === 'string' ? value : void problems.wrong(value, 'a text');
  },
};

/** One of these words. */
export const oneOf = <T extends string>(words: readonly T[]): Field<T> => ({
  ...{ form: 'text', values: 1, write: (out, value) => out.text(value) },
  read: (values, at, problems) => {
    const value = values[at] as T;
    return words.includes(value) ? value : void problems.wrong(value, wordOneOf(words));
  },
});

export const booleans: Field<readonly boolean[]> = {
  ...{ form: 'array of boolean', values: 1, write: (out, value) => out.any(value) },
  read: (values, at, problems) => {
    const value = values[at];
    const isRight = Array.isArray(value) && value.every((each) => typeof each === 'boolean');
    return isRight ? (value as boolean[]) : void problems.wrong(value, 'an array of true and false');
  },
};

const PIECE_VALUES = 4;

export const pieces: Field<readonly WrittenPiece[]> = {
  form: 'array of number, four for each: `offset`, `end`, `sizeBytes`, `place`',
  values: 1,
  write: (out, value) => out.any(value.flatMap(({ offset, end, sizeBytes, place }) => [offset, end, sizeBytes, place])),
  read: (values, at, problems) => {
    const numbers = values[at];
    const isRight =
      Array.isArray(numbers) && numbers.length % PIECE_VALUES === 0 && numbers.every((each) => isWhole(each));
    if (!isRight) return void problems.wrong(numbers, 'an array of whole numbers, four for each piece');
    return Array.from({ length: numbers.length / PIECE_VALUES }, (_, piece) => {
      const [offset = 0, end = 0, sizeBytes = 0, place = 0] = (numbers as number[]).slice(PIECE_VALUES * piece);
      return { offset, end, sizeBytes, place };
    });
  },
};

const dmaReferenceShape: Shape<DmaReference> = mapOf<DmaReference>({
  kind: oneOfWords(['dma-read', 'dma-write'] as const),
  ...{ timeNs: whole(), iova: whole(), sizeBytes: whole() },
});

/** The DMA that a notice is about. */
export const dmaReference: Field<DmaReference> = {
  ...{ form: 'map', values: 1, write: (out, value) => out.any(value) },
  read: (values, at, problems) => dmaReferenceShape(values[at], problems, ''),
};

export const optional = <T>({ form, write, read }: Field<T>): Field<T | undefined> => ({
  form: `${form} or nil`,
  values: 1,
  write: (out, value, event) => (value === undefined ? out.nil() : write(out, value, event)),
  read: (values, at, problems) =>
    values[at] === null || values[at] === undefined ? undefined : read(values, at, problems),
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
  read: (values, at, problems) => {
    const [sizeBytes, value] = [values[at], values[at + 1]];
    if (typeof value !== 'number') return bytesOf(sizeBytes, value, problems);
    if (!isWhole(sizeBytes, 4)) return void problems.wrong(sizeBytes, wordWhole(4));
    if (!isWhole(value, 0xffff_ffff)) return void problems.wrong(value, wordWhole(0xffff_ffff));
    const data = new Uint8Array(sizeBytes);
    for (let i = 0; i < sizeBytes; i++) data[i] = value >>> (8 * i);
    return data;
  },
};

function bytesOf(sizeBytes: unknown, value: unknown, problems: Problems): Uint8Array | undefined {
  if (value instanceof Uint8Array && value.length === sizeBytes) return value;
  return void problems.wrong(
    value,
    isWhole(sizeBytes) ? `${sizeBytes} bytes, as its size says` : 'bytes after their number',
  );
}

/** The bytes of a DMA access, as many as the value before says. `payloadHash` comes next, and lies in their place when they are not there. */
export const payload: Field<Uint8Array | undefined> = {
  form: 'bin, or `hash` as text, or nil',
  values: 1,
  write: (out, data, { hash }: { readonly hash?: string }) => {
    if (data) out.binary(data);
    else if (hash === undefined) out.nil();
    else out.text(hash);
  },
  read: (values, at, problems) => {
    const value = values[at];
    if (value === null || typeof value === 'string') return undefined;
    return bytesOf(values[at - 1], value, problems);
  },
};
export const payloadHash: Field<string | undefined> = {
  form: '',
  values: 0,
  write: () => {},
  read: (values, at) => {
    const value = values[at - 1];
    return typeof value === 'string' ? value : undefined;
  },
};

export const cardDescription: Field<CardDescription> = {
  form: 'map; reset values of registers as hexadecimal text',
  values: 1,
  write: (out, value) => out.any(withResets(value, (reset) => reset.toString(16))),
  read: (values, at, problems) => cardShape(values[at], problems, ''),
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
