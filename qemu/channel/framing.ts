/**
 * Frames of the agent protocol to bytes and back: pure, no stream, and of the messages only how a connection begins.
 *
 * Source: qemu/channel/protocol.ts, "Framing".
 */
import { decode, encode } from 'msgpack-lite';
import { type HostMessage, MAX_FRAME_BYTES } from './protocol';

/** The bytes on the wire for one message. Throws if it is longer than a frame may be. */
export function encodeFrame(message: HostMessage): Buffer {
  const body = encode(withBuffers(message));
  if (body.length > MAX_FRAME_BYTES) {
    throw new RangeError(
      `a message of ${body.length} bytes is over the frame limit of ${MAX_FRAME_BYTES}: push long data as a file instead`,
    );
  }
  const frame = Buffer.allocUnsafe(4 + body.length);
  frame.writeUInt32LE(body.length, 0);
  frame.set(body, 4);
  return frame;
}

/** msgpack-lite writes a Buffer as `bin`, but another Uint8Array as an extension of its own. */
function withBuffers(message: HostMessage): HostMessage {
  if ('data' in message) return { ...message, data: asBuffer(message.data) };
  if ('entropy' in message) return { ...message, entropy: asBuffer(message.entropy) };
  return message;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** What the body of the agent's answer to the hello `id` begins with, behind the head of its map. `id` must be over 127. */
export function helloAnswerStart(id: number): Buffer {
  return Buffer.concat([encode('type'), encode('hello'), encode('id'), uint32(id)]);
}

/** As the agent writes it. */
function uint32(value: number): Buffer {
  const encoded = Buffer.of(0xce, 0, 0, 0, 0);
  encoded.writeUInt32BE(value, 1);
  return encoded;
}

/** A frame's length and the head of its map. */
const HEAD_BYTES = 5;

/** Cuts a byte stream, given in pieces of any size, into messages. */
export class FrameDecoder {
  #pieces: Buffer[] = [];
  #buffered = 0;
  #start: Buffer | undefined;

  /** With `start`: passes over all before the first frame that begins with it (see `helloAnswerStart`). */
  constructor(start?: Buffer) {
    this.#start = start;
  }

  /** Messages that `piece` completes, in order. Throws when the peer does not speak the protocol; then it is of no more use. */
  *push(piece: Buffer): Generator<unknown, void> {
    this.#pieces.push(piece);
    this.#buffered += piece.length;
    if (this.#start !== undefined && !this.#passOverTo(this.#start)) return;
    this.#start = undefined;
    for (let sizeBytes = this.#frameBytes(); sizeBytes !== undefined; sizeBytes = this.#frameBytes()) {
      yield decodeBody(this.#take(4 + sizeBytes).subarray(4));
    }
  }

  /** False: it is not there yet, and what cannot belong to it is dropped. */
  #passOverTo(start: Buffer): boolean {
    const found = this.#front(this.#buffered).indexOf(start, HEAD_BYTES);
    const passed = found < 0 ? this.#buffered - (HEAD_BYTES + start.length - 1) : found - HEAD_BYTES;
    if (passed > 0) this.#take(passed);
    return found >= 0;
  }

  /** Body size of the frame at the front, if it is there in full. */
  #frameBytes(): number | undefined {
    if (this.#buffered < 4) return undefined;
    const head = this.#front(4);
    const sizeBytes = head.readUInt32LE(0);
    if (sizeBytes > MAX_FRAME_BYTES) {
      throw new Error(
        `the agent announced a frame of ${sizeBytes} bytes, over the limit of ${MAX_FRAME_BYTES}: the stream is out of step`,
      );
    }
    return this.#buffered < 4 + sizeBytes ? undefined : sizeBytes;
  }

  /** Makes the first piece hold at least `sizeBytes`. */
  #front(sizeBytes: number): Buffer {
    const first = this.#pieces[0];
    if (first !== undefined && first.length >= sizeBytes) return first;
    const joined = Buffer.concat(this.#pieces);
    this.#pieces = [joined];
    return joined;
  }

  #take(sizeBytes: number): Buffer {
    const front = this.#front(sizeBytes);
    this.#buffered -= sizeBytes;
    if (front.length === sizeBytes) this.#pieces.shift();
    else this.#pieces[0] = front.subarray(sizeBytes);
    return front.subarray(0, sizeBytes);
  }
}

function decodeBody(body: Buffer): unknown {
  try {
    const message: unknown = decode(body);
    if (typeof message === 'object' && message !== null && 'type' in message) return message;
  } catch (cause) {
    throw new Error(`the agent sent a frame of ${body.length} bytes that is not MessagePack`, { cause });
  }
  throw new Error(`the agent sent a frame of ${body.length} bytes that holds no map with a 'type'`);
}
