/**
 * Reads MessagePack values one by one, of bytes that may end anywhere and may be damaged: whatever they are, it ends, and
 * takes no more memory than they do.
 *
 * Source: the MessagePack specification (msgpack/msgpack, spec.md).
 */

/** No value: the message says why. */
export class DamagedValue extends Error {
  override readonly name = 'DamagedValue';
}

/** The value goes on beyond the bytes: it takes at least those up to `end`. */
export class UnfinishedValue extends Error {
  override readonly name = 'UnfinishedValue';

  constructor(readonly end: number) {
    super('it goes on beyond the end of the file');
  }
}

/** Deeper than anything in a trace. */
const MOST_NESTED = 12;

export class ValueReader {
  /** Where the next value begins. */
  at = 0;
  #nested = 0;

  constructor(readonly bytes: Buffer) {}

  /** @throws DamagedValue, UnfinishedValue; `at` is anywhere then */
  next(): unknown {
    const { bytes } = this;
    if (this.at >= bytes.length) throw new UnfinishedValue(this.at + 1);
    const type = bytes[this.at++]!;
    if (type < 0x80) return type;
    if (type >= 0xe0) return type - 0x100;
    if (type < 0x90) return this.#map(type & 0xf);
    if (type < 0xa0) return this.#array(type & 0xf);
    if (type < 0xc0) return this.#text(type & 0x1f);
    switch (type) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xc4:
        return this.#binary(bytes[this.#take(1)]!);
      case 0xc5:
        return this.#binary(bytes.readUInt16BE(this.#take(2)));
      case 0xc6:
        return this.#binary(bytes.readUInt32BE(this.#take(4)));
      case 0xca:
        return bytes.readFloatBE(this.#take(4));
      case 0xcb:
        return bytes.readDoubleBE(this.#take(8));
      case 0xcc:
        return bytes[this.#take(1)]!;
      case 0xcd:
        return bytes.readUInt16BE(this.#take(2));
      case 0xce:
        return bytes.readUInt32BE(this.#take(4));
      case 0xcf:
        return Number(bytes.readBigUInt64BE(this.#take(8)));
      case 0xd0:
        return bytes.readInt8(this.#take(1));
      case 0xd1:
        return bytes.readInt16BE(this.#take(2));
      case 0xd2:
        return bytes.readInt32BE(this.#take(4));
      case 0xd3:
        return Number(bytes.readBigInt64BE(this.#take(8)));
      case 0xd9:
        return this.#text(bytes[this.#take(1)]!);
      case 0xda:
        return this.#text(bytes.readUInt16BE(this.#take(2)));
      case 0xdb:
        return this.#text(bytes.readUInt32BE(this.#take(4)));
      case 0xdc:
        return this.#array(bytes.readUInt16BE(this.#take(2)));
      case 0xdd:
        return this.#array(bytes.readUInt32BE(this.#take(4)));
      case 0xde:
        return this.#map(bytes.readUInt16BE(this.#take(2)));
      case 0xdf:
        return this.#map(bytes.readUInt32BE(this.#take(4)));
      default:
        throw new DamagedValue(`a trace has no MessagePack values of type 0x${type.toString(16)}`);
    }
  }

  /** Returns where the next so many bytes begin. */
  #take(sizeBytes: number): number {
    const from = this.at;
    if (from + sizeBytes > this.bytes.length) throw new UnfinishedValue(from + sizeBytes);
    this.at = from + sizeBytes;
    return from;
  }

  #text(sizeBytes: number): string {
    const from = this.#take(sizeBytes);
    return sizeBytes === 0 ? '' : this.bytes.toString('utf8', from, this.at);
  }

  #binary(sizeBytes: number): Buffer {
    const from = this.#take(sizeBytes);
    return Buffer.from(this.bytes.subarray(from, this.at)); // a copy: these bytes are many events'
  }

  #array(count: number): unknown[] {
    this.#enter(count);
    const values: unknown[] = [];
    for (let i = 0; i < count; i++) values.push(this.next());
    this.#nested--;
    return values;
  }

  #map(count: number): object {
    this.#enter(2 * count);
    const entries: [string, unknown][] = [];
    for (let i = 0; i < count; i++) {
      const name = this.next();
      if (typeof name !== 'string') throw new DamagedValue('a name in a map is not a text');
      entries.push([name, this.next()]);
    }
    this.#nested--;
    return Object.fromEntries(entries);
  }

  /** Each value takes a byte or more. */
  #enter(count: number): void {
    if (this.at + count > this.bytes.length) throw new UnfinishedValue(this.at + count);
    if (++this.#nested > MOST_NESTED) throw new DamagedValue(`its values are nested more than ${MOST_NESTED} deep`);
  }

  /** Goes to a place, after an error too. */
  moveTo(at: number): void {
    this.at = at;
    this.#nested = 0;
  }
}
