/**
 * Codecs of structures in host memory, descriptors above all, made from their layout: card, tests and the tools that show
 * a trace read the same declaration.
 */
import { type BlockSpec, type RegisterLayout, sizeOf, type ValuePath } from '../registers';
import { byOffset } from '../registers/layout';

/** A structure somewhere in a buffer. Its fields are read from the bytes each time; what is not asked for costs nothing. */
export type Structure<K extends string> = {
  /** Where it begins in the buffer, in bytes. */
  offset: number;
  /** A field as a bigint, also where a number would round it: from 2^53 on. */
  exact(name: K): bigint;
} & { readonly [Name in K]: number };

/** Reads and writes the fields of a structure in memory by name. */
export interface StructureCodec<K extends string> {
  readonly sizeBytes: number;
  /** From one to the next where several lie side by side, in bytes. */
  readonly strideBytes: number;
  /** One in `view`, at its start. */
  in(view: DataView): Structure<K>;
  /** The bytes of one, as a driver writes it: for tests and models of hosts. What is left out is 0. */
  encode(values: { readonly [Name in K]?: number | bigint | boolean }): Uint8Array;
}

interface Place {
  readonly offset: number;
  readonly width: number;
  readonly msb: number;
  readonly lsb: number;
}

/**
 * The codec of a structure in memory.
 *
 * @param layout declared as registers are (`registerBlock`)
 * @param names what the card calls the words and fields that it uses: `{ lengthBytes: 'CONTROL.LENGTH' }`
 */
export function structureCodec<S extends BlockSpec, const N extends Readonly<Record<string, ValuePath<S>>>>(
  layout: S,
  names: N,
  strideBytes = sizeOf(layout),
): StructureCodec<keyof N & string> {
  const words = byOffset(layout);
  const places = new Map(Object.entries<string>(names).map(([name, path]) => [name, placeOf(words, path)]));
  class Fields {
    constructor(
      readonly view: DataView,
      public offset = 0,
    ) {}

    exact(name: string): bigint {
      return readExactly(this.view, this.offset, places.get(name)!);
    }
  }
  for (const [name, place] of places) Object.defineProperty(Fields.prototype, name, { get: readerOf(place) });
  const sizeBytes = sizeOf(layout);
  return {
    sizeBytes,
    strideBytes,
    in: (view) => new Fields(view) as unknown as Structure<keyof N & string>,
    encode: (values) => {
      const bytes = new Uint8Array(sizeBytes);
      const view = new DataView(bytes.buffer);
      for (const name in values) {
        const value = values[name]!;
        put(view, places.get(name)!, typeof value === 'boolean' ? Number(value) : value);
      }
      return bytes;
    },
  };
}

function placeOf(words: readonly RegisterLayout[], path: string): Place {
  for (const { name, offset, width, fields } of words) {
    if (name === path) return { offset, width, msb: width - 1, lsb: 0 };
    const field = fields.find((each) => `${name}.${each.name}` === path);
    if (field) return { offset, width, msb: field.msb, lsb: field.lsb };
  }
  throw new RangeError(`There is no '${path}' in this structure.`);
}

interface Read {
  readonly view: DataView;
  readonly offset: number;
}

/** A getter of its own for each field, so that engines read a constant place. */
function readerOf(place: Place): (this: Read) => number {
  const { offset: at, width, msb, lsb } = place;
  if (width === 64 && msb - lsb === 63) {
    return function () {
      return this.view.getUint32(this.offset + at, true) + this.view.getUint32(this.offset + at + 4, true) * 2 ** 32;
    };
  }
  if (width === 64) {
    return function () {
      return Number(readExactly(this.view, this.offset, place));
    };
  }
  const mask = 2 ** (msb - lsb + 1) - 1;
  if (width === 32) {
    return function () {
      return ((this.view.getUint32(this.offset + at, true) >>> lsb) & mask) >>> 0;
    };
  }
  const read = width === 16 ? 'getUint16' : 'getUint8';
  return function () {
    return (this.view[read](this.offset + at, true) >>> lsb) & mask;
  };
}

function readExactly(view: DataView, start: number, { offset, width, msb, lsb }: Place): bigint {
  let value = 0n;
  for (let byte = width / 8; byte-- > 0;) value = (value << 8n) | BigInt(view.getUint8(start + offset + byte));
  return (value >> BigInt(lsb)) & ((1n << BigInt(msb - lsb + 1)) - 1n);
}

/** ORs a value into bytes that are 0. A number of up to 32 bits in a word of up to 32 needs no bigint. */
function put(view: DataView, { offset, width, msb, lsb }: Place, value: number | bigint): void {
  if (typeof value === 'number' && width === 32) {
    const bits = (value & (2 ** (msb - lsb + 1) - 1)) << lsb;
    view.setUint32(offset, view.getUint32(offset, true) | bits, true);
    return;
  }
  if (typeof value === 'number' && width === 64 && msb - lsb === 63 && value >= 0) {
    view.setUint32(offset, value, true);
    view.setUint32(offset + 4, value / 2 ** 32, true);
    return;
  }
  const bits = (BigInt(value) & ((1n << BigInt(msb - lsb + 1)) - 1n)) << BigInt(lsb);
  for (let byte = 0; byte < width / 8; byte++) {
    const at = offset + byte;
    view.setUint8(at, view.getUint8(at) | Number((bits >> BigInt(byte * 8)) & 0xffn));
  }
}
