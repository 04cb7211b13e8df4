/**
 * The sending side of a connection. Usually one system call sends everything. If the peer does not read, the rest is
 * queued here, in order, until the socket has room again.
 */
import { WOULD_BLOCK, type Native } from '../native';

interface Waiting {
  bytes: Uint8Array;
  /** Not passed yet; they are passed with the first byte. */
  descriptors: Int32Array | undefined;
}

export class Outbox {
  readonly #waiting: Waiting[] = [];

  constructor(
    private readonly native: Native,
    private readonly fd: number,
  ) {}

  get isEmpty(): boolean {
    return this.#waiting.length === 0;
  }

  get waitingBytes(): number {
    return this.#waiting.reduce((sum, { bytes }) => sum + bytes.length, 0);
  }

  /**
   * Sends `buffer[0 … sizeBytes - 1]`, then `payload`. Both may be reused afterwards: what cannot be sent at once is
   * copied. @throws NativeError if the connection is closed
   */
  send(buffer: Uint8Array, sizeBytes: number, payload?: Uint8Array, descriptors?: Int32Array): void {
    let taken = 0;
    if (this.#waiting.length === 0) {
      taken = this.native.send(this.fd, buffer, 0, sizeBytes, payload, descriptors);
      if (taken === sizeBytes + (payload?.length ?? 0)) return;
    }
    const nothingTaken = taken <= 0;
    const rest = Buffer.concat(payload ? [buffer.subarray(0, sizeBytes), payload] : [buffer.subarray(0, sizeBytes)]);
    this.#waiting.push({
      bytes: nothingTaken ? rest : rest.subarray(taken),
      descriptors: nothingTaken ? descriptors : undefined,
    });
  }

  /** Continues sending when the socket has room again. True if nothing is queued any more. */
  flush(): boolean {
    for (let head = this.#waiting[0]; head !== undefined; head = this.#waiting[0]) {
      const taken = this.native.send(this.fd, head.bytes, 0, head.bytes.length, undefined, head.descriptors);
      if (taken === WOULD_BLOCK) return false;
      head.descriptors = undefined;
      head.bytes = head.bytes.subarray(taken);
      if (head.bytes.length > 0) return false;
      this.#waiting.shift();
    }
    return true;
  }
}
