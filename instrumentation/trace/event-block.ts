/**
 * Encodes events for the file as they come, one after the other, into one buffer. Recording is part of each register
 * access, so this writes MessagePack itself, without an object or a buffer per event.
 *
 * Source: the MessagePack specification (msgpack/msgpack, spec.md); the layout of events: `format.ts`.
 */
import { encode } from 'msgpack-lite';
import { type AccessEvent, type DmaEvent, type EventContent, type Unstamped } from './event';
import { numberOf, type ValueWriter } from './fields';
import { LAYOUTS, STAMP_VALUES } from './format';
import { KINDS } from './kinds';

const INITIAL_BYTES = 64 << 10;
/** An `array 32` with room for the number of events. */
const HEAD_BYTES = 5;
/** At least what the values of fixed size in an event take. */
const SLACK_BYTES = 128;
/** Shorter texts are copied character by character, which is faster than a call. */
const SHORT_TEXT = 24;

export class EventBlock implements ValueWriter {
  #bytes = Buffer.allocUnsafeSlow(INITIAL_BYTES);
  #view = viewOf(this.#bytes);
  #at = HEAD_BYTES;
  #count = 0;

  /** How many events are in it. */
  get count(): number {
    return this.#count;
  }

  get byteLength(): number {
    return this.#at;
  }

  /** `hostNs` is the event's host time. */
  add(event: Unstamped, hostNs: number): void {
    this.#room(0);
    this.#count++;
    const { kind, card } = event;
    if (kind === 'read' || kind === 'write') {
      const { offset, data } = event;
      if (data.length <= 4 && card < 0x80 && offset >>> 0 === offset) return this.#access(event, hostNs);
    }
    const { code, values, columns } = LAYOUTS[kind];
    this.#bytes[this.#at++] = 0x90 | (STAMP_VALUES + values);
    this.#bytes[this.#at++] = code;
    this.number(card);
    this.number(event.timeNs);
    this.number(hostNs);
    if (kind === 'dma-read' || kind === 'dma-write') return this.#dmaFields(event);
    for (const { name, write } of columns) write(this, (event as Record<string, unknown>)[name], event);
  }

  /** The whole block, as one value of MessagePack that is valid until the next event is added. Empties the block. */
  take(): Buffer {
    const block = this.#bytes.subarray(0, this.#at);
    block[0] = 0xdd;
    this.#view.setUint32(1, this.#count);
    this.#at = HEAD_BYTES;
    this.#count = 0;
    return block;
  }

  /**
   * Register accesses and DMA are most of a trace, and what recording them takes is part of what each of them takes. So
   * their values are written by hand, in the order of their rows in `kinds.ts`: the loop over the fields takes twice as
   * long for DMA, and three times for an access, whose values all have a fixed size here. Reading goes by the table, so
   * a test fails when the two do not agree.
   */
  #access({ kind, card, timeNs, region, offset, data }: Omit<AccessEvent, 'hostNs'>, hostNs: number): void {
    const bytes = this.#bytes;
    const view = this.#view;
    const at = this.#at;
    bytes[at] = 0x98;
    bytes[at + 1] = kind === 'read' ? KINDS.read.code : KINDS.write.code;
    bytes[at + 2] = card;
    bytes[at + 3] = bytes[at + 12] = 0xcb;
    view.setFloat64(at + 4, timeNs);
    view.setFloat64(at + 13, hostNs);
    bytes[at + 21] = region;
    bytes[at + 22] = bytes[at + 28] = 0xce;
    view.setUint32(at + 23, offset);
    bytes[at + 27] = data.length;
    view.setUint32(at + 29, numberOf(data));
    this.#at = at + 33;
  }

  #dmaFields({ channel, role, iova, sizeBytes, data, hash, error, isAsync }: EventContent<DmaEvent>): void {
    this.text(channel);
    this.text(role);
    this.number(iova);
    this.number(sizeBytes);
    if (data) this.binary(data);
    else this.#textOrNil(hash);
    this.#textOrNil(error);
    this.boolean(isAsync === true);
  }

  #textOrNil(text: string | undefined): void {
    if (text === undefined) this.nil();
    else this.text(text);
  }

  /** Numbers of more than 32 bits, and fractions, are a `float 64`, as JavaScript has them. */
  number(value: number): void {
    const bytes = this.#bytes;
    if (value >>> 0 !== value) {
      bytes[this.#at] = 0xcb;
      this.#view.setFloat64(this.#at + 1, value);
      this.#at += 9;
    } else if (value < 0x80) bytes[this.#at++] = value;
    else if (value > 0xffff) {
      bytes[this.#at] = 0xce;
      this.#view.setUint32(this.#at + 1, value);
      this.#at += 5;
    } else {
      bytes[this.#at] = 0xcd;
      this.#view.setUint16(this.#at + 1, value);
      this.#at += 3;
    }
  }

  boolean(value: boolean): void {
    this.#bytes[this.#at++] = value ? 0xc3 : 0xc2;
  }

  nil(): void {
    this.#bytes[this.#at++] = 0xc0;
  }

  text(text: string): void {
    const { length } = text;
    this.#room(3 * length);
    const start = this.#at;
    if (length <= SHORT_TEXT) {
      const bytes = this.#bytes;
      let at = start + 1;
      for (let i = 0; i < length; i++) {
        const code = text.charCodeAt(i);
        if (code >= 0x80) break;
        bytes[at++] = code;
      }
      if (at === start + 1 + length) {
        bytes[start] = 0xa0 | length;
        this.#at = at;
        return;
      }
    }
    const size = this.#bytes.write(text, start + 5);
    this.#bytes[start] = 0xdb;
    this.#view.setUint32(start + 1, size);
    this.#at = start + 5 + size;
  }

  binary(data: Uint8Array): void {
    this.#room(data.length);
    this.#bytes[this.#at] = 0xc6;
    this.#view.setUint32(this.#at + 1, data.length);
    this.#bytes.set(data, this.#at + 5);
    this.#at += 5 + data.length;
  }

  /** What is rare, by the library. */
  any(value: unknown): void {
    const encoded = encode(value);
    this.#room(encoded.length);
    this.#bytes.set(encoded, this.#at);
    this.#at += encoded.length;
  }

  /** Makes room for `size` bytes and the values of fixed size after them. */
  #room(size: number): void {
    const needed = this.#at + size + SLACK_BYTES;
    if (needed <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.#bytes.length));
    this.#bytes.copy(larger, 0, 0, this.#at);
    this.#bytes = larger;
    this.#view = viewOf(larger);
  }
}

const viewOf = (bytes: Buffer): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
