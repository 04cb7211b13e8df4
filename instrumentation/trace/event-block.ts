/**
 * Events on their way to the file: encoded as they come, one behind the other, into one buffer. Recording is part of each
 * register access, so that this writes MessagePack by itself, without an object or a buffer of its own for an event.
 *
 * Source: the MessagePack specification (msgpack/msgpack, spec.md); layout of the rows: `format.ts`.
 */
import { encode } from 'msgpack-lite';
import { type AccessEvent, type TraceEvent } from './event';
import { codeOf, packedDescription } from './format';

const INITIAL_BYTES = 64 << 10;
/** An `array 32` with room for the number of events. */
const HEAD_BYTES = 5;
/** More than the parts of an event that have a fixed size take. */
const SLACK_BYTES = 128;
/** Texts up to here are copied character by character, which is quicker than a call. */
const SHORT_TEXT = 24;

/** An event whose host time is known apart. */
type Unstamped<E = TraceEvent> = E extends TraceEvent ? Omit<E, 'hostNs'> : never;

export class EventBlock {
  #bytes = Buffer.allocUnsafeSlow(INITIAL_BYTES);
  #view = viewOf(this.#bytes);
  #at = HEAD_BYTES;
  #count = 0;

  /** How many events lie in it. */
  get count(): number {
    return this.#count;
  }

  get byteLength(): number {
    return this.#at;
  }

  add(event: Unstamped, hostNs: number): void {
    this.#room(0);
    this.#count++;
    switch (event.kind) {
      case 'read':
      case 'write': {
        const { data, offset } = event;
        if (data.length <= 4 && event.card < 0x80 && offset >>> 0 === offset) return this.#access(event, hostNs);
        this.#row(event, hostNs, 4);
        this.#number(event.region);
        this.#number(offset);
        this.#number(data.length);
        if (data.length > 4) this.#binary(data);
        else this.#number(numberOf(data));
        return;
      }
      case 'dma-read':
      case 'dma-write':
        this.#row(event, hostNs, 7);
        this.#text(event.channel);
        this.#text(event.role);
        this.#number(event.iova);
        this.#number(event.sizeBytes);
        if (event.data) this.#binary(event.data);
        else this.#textOrNil(event.hash);
        this.#textOrNil(event.error);
        this.#boolean(event.isAsync === true);
        return;
      case 'map':
        this.#row(event, hostNs, 4);
        this.#number(event.iova);
        this.#number(event.sizeBytes);
        this.#boolean(event.readable);
        this.#boolean(event.writable);
        return;
      case 'unmap':
        this.#row(event, hostNs, 2);
        this.#number(event.iova);
        this.#number(event.sizeBytes);
        return;
      case 'irq-setup':
        this.#row(event, hostNs, 5);
        this.#number(event.index);
        this.#number(event.start);
        this.#number(event.count);
        this.#text(event.action);
        this.#any(event.vectors ?? null);
        return;
      case 'interrupt':
        this.#row(event, hostNs, 4);
        this.#text(event.phase);
        this.#number(event.index);
        this.#number(event.vector);
        this.#textOrNil(event.reason);
        return;
      case 'reset':
        return this.#texts(event, hostNs, event.reset);
      case 'stale':
        this.#row(event, hostNs, 1);
        this.#number(event.sizeBytes);
        return;
      case 'state':
        return this.#texts(event, hostNs, event.part, event.state);
      case 'fault':
        return this.#texts(event, hostNs, event.fault, event.what);
      case 'mark':
        return this.#texts(event, hostNs, event.from, event.text);
      case 'notice':
        return this.#texts(event, hostNs, event.text);
      case 'card':
        this.#row(event, hostNs, 1);
        return this.#any(packedDescription(event.description));
      case 'task':
      case 'nested':
      case 'link-down':
      case 'connected':
      case 'disconnected':
      case 'end':
        return this.#row(event, hostNs, 0);
      default:
        return event satisfies never; // of each kind it is said what is written
    }
  }

  /** All that is in it, as a value of MessagePack; valid until the next event is added, with which it begins anew. */
  take(): Buffer {
    const block = this.#bytes.subarray(0, this.#at);
    block[0] = 0xdd;
    this.#view.setUint32(1, this.#count);
    this.#at = HEAD_BYTES;
    this.#count = 0;
    return block;
  }

  /** What most events are, all parts of them with a fixed size: without a decision on the way. */
  #access({ kind, card, timeNs, region, offset, data }: Omit<AccessEvent, 'hostNs'>, hostNs: number): void {
    const bytes = this.#bytes;
    const view = this.#view;
    const at = this.#at;
    bytes[at] = 0x98;
    bytes[at + 1] = codeOf[kind];
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

  /** The array that an event is, up to what its kind says. */
  #row({ kind, card, timeNs }: Unstamped, hostNs: number, rest: number): void {
    this.#bytes[this.#at++] = 0x90 | (4 + rest);
    this.#bytes[this.#at++] = codeOf[kind];
    this.#number(card);
    this.#number(timeNs);
    this.#number(hostNs);
  }

  #texts(event: Unstamped, hostNs: number, ...texts: string[]): void {
    this.#row(event, hostNs, texts.length);
    for (const text of texts) this.#text(text);
  }

  /** What needs more than 32 bits, or is no whole number, is a `float 64`: JavaScript's own. */
  #number(value: number): void {
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

  #boolean(value: boolean): void {
    this.#bytes[this.#at++] = value ? 0xc3 : 0xc2;
  }

  #textOrNil(text: string | undefined): void {
    if (text === undefined) this.#bytes[this.#at++] = 0xc0;
    else this.#text(text);
  }

  #text(text: string): void {
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

  #binary(data: Uint8Array): void {
    this.#room(data.length);
    this.#bytes[this.#at] = 0xc6;
    this.#view.setUint32(this.#at + 1, data.length);
    this.#bytes.set(data, this.#at + 5);
    this.#at += 5 + data.length;
  }

  /** What is rare, by the library. */
  #any(value: unknown): void {
    const encoded = encode(value);
    this.#room(encoded.length);
    this.#bytes.set(encoded, this.#at);
    this.#at += encoded.length;
  }

  /** Room for `size` bytes and for what is of fixed size behind them. */
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

/** Little-endian, at most 4 bytes. */
function numberOf(data: Uint8Array): number {
  let value = 0;
  for (let i = data.length; i-- > 0;) value = (value << 8) | data[i]!;
  return value >>> 0;
}
