/** A client's end of the socket that sends any bytes, reads what comes, and answers DMA messages as it is told. */
import { FIRST_DESCRIPTOR, WOULD_BLOCK } from '../../../emulator/native';
import { encodeHeader } from '../../../emulator/vfio-user/codec';
import { Command, Header, HEADER_BYTES, HeaderFlag } from '../../../emulator/vfio-user/wire';
import { native } from './bench';
import { type Answers } from './step';

export interface Reply {
  readonly id: number;
  readonly command: number;
  readonly flags: number;
  readonly errno: number;
  readonly sizeBytes: number;
  readonly payload: Buffer;
}

export class Peer {
  readonly replies: Reply[] = [];
  answers: Answers = 'right';
  reads = true;
  hasEnded = false;
  /** DMA messages that wait for their answer. */
  readonly #requests: Buffer[] = [];
  readonly #fd: number;
  readonly #words = new Int32Array(FIRST_DESCRIPTOR + 253);
  #received: Buffer = Buffer.alloc(0);
  #closed = false;

  constructor(socketPath: string) {
    this.#fd = native.connect(socketPath);
  }

  /** How many bytes the socket has taken; it takes fewer if the server does not read. */
  send(bytes: Uint8Array, descriptors: readonly number[] = []): number {
    if (this.hasEnded) return bytes.length;
    try {
      return Math.max(0, native.send(this.#fd, bytes, 0, bytes.length, undefined, Int32Array.from(descriptors)));
    } catch {
      this.receive();
      this.hasEnded = true;
      return bytes.length;
    }
  }

  /** Takes what has arrived. @throws Error if it is not a message */
  receive(): void {
    while (!this.hasEnded) {
      let got: number;
      try {
        got = native.receive(this.#fd, buffer, 0, buffer.length, this.#words, 0);
      } catch {
        got = 0;
      }
      if (got === WOULD_BLOCK) return;
      if (got === 0) this.hasEnded = true;
      for (let i = 0; i < this.#words[0]!; i++) native.close(this.#words[FIRST_DESCRIPTOR + i]!);
      this.#received = Buffer.concat([this.#received, buffer.subarray(0, got)]);
      while (this.#take());
    }
  }

  /** To be called between messages only. */
  answerDma(): void {
    for (const request of this.#requests.splice(0)) {
      if (this.answers === 'none') continue;
      const reply = answerTo(request, this.answers);
      this.send(reply);
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = this.hasEnded = true;
    native.close(this.#fd);
  }

  #take(): boolean {
    const have = this.#received;
    if (have.length < HEADER_BYTES) return false;
    const sizeBytes = have.readUInt32LE(Header.SIZE);
    if (sizeBytes < HEADER_BYTES) throw new Error(`the server sent a message of ${sizeBytes} bytes`);
    if (have.length < sizeBytes) return false;
    this.#received = have.subarray(sizeBytes);
    const flags = have.readUInt32LE(Header.FLAGS);
    const message = have.subarray(0, sizeBytes);
    if ((flags & HeaderFlag.TYPE_MASK) === HeaderFlag.TYPE_COMMAND) this.#requests.push(message);
    else this.replies.push(replyOf(message));
    return true;
  }
}

const buffer = new Uint8Array(0x2_0000);

const replyOf = (message: Buffer): Reply => ({
  id: message.readUInt16LE(Header.ID),
  command: message.readUInt16LE(Header.COMMAND),
  sizeBytes: message.length,
  flags: message.readUInt32LE(Header.FLAGS),
  errno: message.readUInt32LE(Header.ERROR),
  payload: message.subarray(HEADER_BYTES),
});

const EFAULT = 14;

function answerTo(request: Buffer, how: Answers): Uint8Array {
  const id = request.readUInt16LE(Header.ID);
  const command = request.readUInt16LE(Header.COMMAND);
  const bytes = command === Command.DMA_READ ? Number(request.readBigUInt64LE(HEADER_BYTES + 8)) : 0;
  const data = how === 'right' ? bytes : how === 'wrong' ? bytes >> 1 : 0;
  const reply = Buffer.alloc(HEADER_BYTES + (how === 'refused' ? 0 : 16 + data));
  const flags = HeaderFlag.TYPE_REPLY | (how === 'refused' ? HeaderFlag.ERROR : 0);
  const view = new DataView(reply.buffer, reply.byteOffset, reply.length);
  encodeHeader(view, id, command, reply.length, flags, how === 'refused' ? EFAULT : 0);
  if (how !== 'refused') request.copy(reply, HEADER_BYTES, HEADER_BYTES, HEADER_BYTES + 16);
  return reply;
}
