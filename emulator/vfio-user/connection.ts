/**
 * One client's socket: what comes in goes to the reader, what goes out and is not taken waits in the outbox. It knows
 * messages only as bytes; when the connection is over, it says why, once, and leaves the ending to its owner.
 *
 * How much a client can make it hold is bounded: one message to be completed, with the descriptors that one message may
 * have; and `isHeldUp` tells the owner to stop answering while the client does not read.
 */
import {
  DESCRIPTOR_COUNT,
  DESCRIPTORS_LOST,
  FIRST_DESCRIPTOR,
  type Native,
  type Poller,
  READABLE,
  WOULD_BLOCK,
  WRITABLE,
} from '../native';
import { MessageReader } from './framing';
import { Outbox } from './outbox';

/** The kernel passes so many at a time. A client that keeps to what was agreed sends 8. */
const MOST_DESCRIPTORS = 253;
/** Answers stop at the first that waits, but what a card sends of its own accord (DMA by message) need not. */
const MOST_WAITING_BYTES = 64 * 1024 * 1024;

export interface ConnectionOwner {
  /** There may be something to receive, or answering may go on. */
  ready(): void;
  /** The connection is of no use any more. Comes from the event loop, never from inside `send`. */
  broken(reason: string): void;
}

/** Thrown by `receive` when there is no more to come. */
export class ConnectionEnded extends Error {
  override readonly name = 'ConnectionEnded';
}

export class Connection {
  readonly reader: MessageReader;
  readonly #outbox: Outbox;
  readonly #poller: Poller;
  readonly #descriptorWords = new Int32Array(FIRST_DESCRIPTOR + MOST_DESCRIPTORS);
  #broken = false;

  /** Takes over the socket `fd`. */
  constructor(
    private readonly native: Native,
    private readonly fd: number,
    maxMessageBytes: number,
    private readonly owner: ConnectionOwner,
  ) {
    this.reader = new MessageReader(maxMessageBytes);
    this.#outbox = new Outbox(native, fd);
    this.#poller = new native.Poller(fd, () => this.#ready());
    this.#poller.start(READABLE);
  }

  /** The client does not read its replies, or is gone: no further request is to be served now. */
  get isHeldUp(): boolean {
    return this.#broken || !this.#outbox.isEmpty;
  }

  /** Receives into the reader; false when nothing has come within `spinUs`. Throws ConnectionEnded. */
  receive(spinUs: number): boolean {
    const { reader } = this;
    const words = this.#descriptorWords;
    let got: number;
    try {
      got = this.native.receive(this.fd, reader.bytes, reader.end, reader.bytes.length, words, spinUs);
    } catch (error) {
      throw new ConnectionEnded(`receiving failed: ${(error as Error).message}`);
    }
    if (got === WOULD_BLOCK) return false;
    if (got === 0) throw new ConnectionEnded('the client closed the connection');
    const count = words[DESCRIPTOR_COUNT]!;
    const lost = words[DESCRIPTORS_LOST] !== 0;
    if (count === 0 && !lost) {
      reader.received(got);
      return true;
    }
    reader.received(got, Array.from(words.subarray(FIRST_DESCRIPTOR, FIRST_DESCRIPTOR + count)), lost);
    // A message may come in as many receives as it has bytes, and every one of them may bring descriptors.
    if (reader.heldDescriptors > MOST_DESCRIPTORS) {
      throw new ConnectionEnded('more descriptors than one message may have');
    }
    return true;
  }

  /** Sends `buffer[0 … sizeBytes - 1]`, then `payload`; all may be reused afterwards. */
  send(buffer: Uint8Array, sizeBytes: number, payload?: Uint8Array, descriptors?: Int32Array): void {
    if (this.#broken) return;
    try {
      this.#outbox.send(buffer, sizeBytes, payload, descriptors);
    } catch (error) {
      return this.#breakOff(`sending failed: ${(error as Error).message}`);
    }
    if (this.#outbox.isEmpty) return;
    this.#poller.start(WRITABLE);
    const { waitingBytes } = this.#outbox;
    if (waitingBytes > MOST_WAITING_BYTES) {
      this.#breakOff(`the client does not read: ${waitingBytes} bytes wait for it`);
    }
  }

  close(): void {
    this.#poller.close();
    this.native.close(this.fd);
    for (const fd of this.reader.takeAllDescriptors()) this.native.close(fd);
  }

  #ready(): void {
    if (this.#broken) return;
    try {
      if (!this.#outbox.isEmpty) {
        if (!this.#outbox.flush()) return;
        this.#poller.start(READABLE);
      }
    } catch (error) {
      return this.#breakOff(`sending failed: ${(error as Error).message}`);
    }
    this.owner.ready();
  }

  /** Not at once: it may be the device that is sending, and it must not be reset in the middle of that. */
  #breakOff(reason: string): void {
    this.#broken = true;
    this.#poller.stop();
    setImmediate(() => this.owner.broken(reason));
  }
}
