/**
 * Encodes and decodes the frames of the agent protocol. Pure functions on bytes; the only message known here is the
 * hello that begins a connection.
 *
 * Source: qemu/channel/protocol.ts, "Framing".
 */
import { decode, encode } from 'msgpack-lite';
import { type HostMessage, MAX_FRAME_BYTES } from './protocol';

/** The bytes of one message on the wire. @throws Error if it is longer than a frame may be */
export function encodeFrame(message: HostMessage): Buffer {
  const body = encode(withBuffers(message));
  if (body.length > MAX_FRAME_BYTES) {
    throw new RangeError(
      `a message of ${body.length} bytes exceeds the frame limit of ${MAX_FRAME_BYTES}: push long data as a file instead`,
    );
  }
  const frame = Buffer.allocUnsafe(4 + body.length);
  frame.writeUInt32LE(body.length, 0);
  frame.set(body, 4);
  return frame;
}

/** msgpack-lite encodes a Buffer as `bin`, but any other Uint8Array as an extension type of its own. */
function withBuffers(message: HostMessage): HostMessage {
  if ('data' in message) return { ...message, data: asBuffer(message.data) };
  if ('entropy' in message) return { ...message, entropy: asBuffer(message.entropy) };
  return message;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The start of the body of the agent's reply to the hello `id`, after the head of its map. `id` must be over 127. */
export function helloAnswerStart(id: number): Buffer {
  return Buffer.concat([encode('type'), encode('hello'), encode('id'), uint32(id)]);
}

/** Encoded as the agent does. */
function uint32(value: number): Buffer {
  const encoded = Buffer.of(0xce, 0, 0, 0, 0);
  encoded.writeUInt32BE(value, 1);
  return encoded;
}

/** The length of a frame and the head of its map. */
const HEAD_BYTES = 5;

/** Splits a byte stream, which arrives in pieces of any size, into messages. */
export class FrameDecoder {
  #pieces: Buffer[] = [];
  #buffered = 0;
  #start: Buffer | undefined;

  /** With `start`: skips everything before the first frame that begins with it (see `helloAnswerStart`). */
  constructor(start?: Buffer) {
    this.#start = start;
  }

  /**
   * The messages that `piece` completes, in order. @throws Error if the peer violates the protocol; the decoder is
   * unusable afterwards
   */
  *push(piece: Buffer): Generator<unknown, void> {
    this.#pieces.push(piece);
    this.#buffered += piece.length;
    if (this.#start !== undefined && !this.#passOverTo(this.#start)) return;
    this.#start = undefined;
    for (let sizeBytes = this.#frameBytes(); sizeBytes !== undefined; sizeBytes = this.#frameBytes()) {
      yield decodeBody(this.#take(4 + sizeBytes).subarray(4));
    }
  }

  /** False: the start has not arrived yet. Bytes that cannot be part of it are discarded. */
  #passOverTo(start: Buffer): boolean {
    const found = this.#front(this.#buffered).indexOf(start, HEAD_BYTES);
    const passed = found < 0 ? this.#buffered - (HEAD_BYTES + start.length - 1) : found - HEAD_BYTES;
    if (passed > 0) this.#take(passed);
    return found >= 0;
  }

  /** Body size of the first frame, if its length has arrived. */
  #frameBytes(): number | undefined {
    if (this.#buffered < 4) return undefined;
    const head = this.#front(4);
    const sizeBytes = head.readUInt32LE(0);
    if (sizeBytes > MAX_FRAME_BYTES) {
      throw new Error(
        `the agent announced a frame of ${sizeBytes} bytes, which exceeds the limit of ${MAX_FRAME_BYTES}: the stream is out of sync`,
      );
    }
    return this.#buffered < 4 + sizeBytes ? undefined : sizeBytes;
  }

  /** Joins pieces until the first has at least `sizeBytes`. */
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
  throw new Error(`the agent sent a frame of ${body.length} bytes that is not a map with a 'type'`);
}
