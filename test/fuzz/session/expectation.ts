/**
 * What a server owes to a client that has sent these bytes: which replies, in which order, and whether the connection may
 * end. It is written from the specification, with the limits that the server names.
 *
 * Source: QEMU docs/interop/vfio-user.rst.
 */
import { answerVersion, decodeVersion, serverCapabilities } from '../../../emulator/vfio-user/version';
import { Command, Header, HEADER_BYTES, HeaderFlag } from '../../../emulator/vfio-user/wire';

const MOST_BYTES = HEADER_BYTES + 16 + serverCapabilities.maxTransferBytes;
const MOST_DESCRIPTORS = 253;

export interface Owed {
  readonly id: number;
  readonly command: number;
  /** Bytes of a REGION_READ that is answered at all. */
  readonly readBytes?: number;
}

export class Expectation {
  /** The replies, in their order. */
  readonly owed: Owed[] = [];
  /** 'may end': by a reply that may match no request of the server, or by descriptors, which are not counted exactly. */
  fate: 'goes on' | 'may end' | 'ends' = 'goes on';
  /** How many replies there are at least, if the connection may have ended before others. */
  #owedAtLeast: number | undefined;
  /** Complete messages. */
  messages = 0;
  negotiated = false;
  #pending = Buffer.alloc(0);
  #skipBytes = 0;
  #descriptors = 0;

  get owedAtLeast(): number {
    return this.#owedAtLeast ?? this.owed.length;
  }

  /** How many bytes the message has that is not complete; 0 between messages. */
  get missingBytes(): number {
    if (this.#skipBytes > 0) return this.#skipBytes;
    const have = this.#pending.length;
    if (have === 0) return 0;
    return have < HEADER_BYTES ? HEADER_BYTES - have : this.#pending.readUInt32LE(Header.SIZE) - have;
  }

  /** The client has sent these. */
  sent(bytes: Uint8Array, descriptors: number): void {
    this.#descriptors += descriptors;
    if (this.#descriptors > MOST_DESCRIPTORS) this.#mayEnd();
    this.#pending = Buffer.concat([this.#pending, bytes]);
    while (this.fate !== 'ends' && this.#next());
    if (this.missingBytes === 0) this.#descriptors = 0;
  }

  #next(): boolean {
    if (this.#skipBytes > 0) {
      const count = Math.min(this.#skipBytes, this.#pending.length);
      this.#skipBytes -= count;
      this.#pending = this.#pending.subarray(count);
    }
    if (this.#pending.length < HEADER_BYTES) return false;
    const message = this.#pending;
    const id = message.readUInt16LE(Header.ID);
    const command = message.readUInt16LE(Header.COMMAND);
    const sizeBytes = message.readUInt32LE(Header.SIZE);
    const flags = message.readUInt32LE(Header.FLAGS);
    const type = flags & HeaderFlag.TYPE_MASK;
    const isReply = type === HeaderFlag.TYPE_REPLY;
    const wantsReply = (flags & HeaderFlag.NO_REPLY) === 0;
    const isUnreadable = (type !== HeaderFlag.TYPE_COMMAND && !isReply) || sizeBytes < HEADER_BYTES;
    if (isUnreadable || (sizeBytes > MOST_BYTES && (isReply || !this.negotiated))) {
      this.messages++;
      this.owed.push({ id, command });
      this.fate = 'ends';
      return false;
    }
    if (sizeBytes > MOST_BYTES) {
      this.messages++;
      if (wantsReply) this.owed.push({ id, command });
      this.#skipBytes = sizeBytes;
      return true;
    }
    if (message.length < sizeBytes) return false;
    this.messages++;
    this.#pending = message.subarray(sizeBytes);
    const payload = message.subarray(HEADER_BYTES, sizeBytes);
    if (isReply) {
      if (this.negotiated) this.#mayEnd();
      else this.fate = 'ends';
    } else if (this.negotiated) {
      if (wantsReply) this.owed.push(owedTo(id, command, payload));
    } else if (command === Command.VERSION && isAccepted(payload)) {
      this.negotiated = true;
      if (wantsReply) this.owed.push({ id, command });
    } else {
      this.owed.push({ id, command });
      this.fate = 'ends';
    }
    return true;
  }

  #mayEnd(): void {
    if (this.fate === 'goes on') this.fate = 'may end';
    this.#owedAtLeast ??= this.owed.length;
  }
}

function owedTo(id: number, command: number, payload: Buffer): Owed {
  if (command !== Command.REGION_READ || payload.length < 16) return { id, command };
  return { id, command, readBytes: payload.readUInt32LE(12) };
}

function isAccepted(payload: Uint8Array): boolean {
  try {
    answerVersion(decodeVersion(payload));
    return true;
  } catch {
    return false;
  }
}
