/**
 * One client's socket. Incoming bytes go to the reader; outgoing bytes that the socket does not accept wait in the
 * outbox. The connection knows messages only as bytes. When it fails, it reports the reason once; its owner then closes
 * it.
 *
 * The memory that a client can occupy is bounded: one incomplete message, with the descriptors that one message may
 * have. `isHeldUp` tells the owner to stop replying while the client does not read.
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

/** The kernel's limit for one message. A client that follows the negotiated limit sends 8. */
const MOST_DESCRIPTORS = 253;
/**
 * Replies stop at the first one that the client does not read, but DMA messages that a card sends by itself may not.
 */
const MOST_WAITING_BYTES = 64 * 1024 * 1024;

export interface ConnectionOwner {
  /** There may be data to receive, or replying can continue. */
  ready(): void;
  /** The connection has failed. Called from the event loop, never from inside `send`. */
  broken(reason: string): void;
}

/** Thrown by `receive` at the end of the connection. */
export class ConnectionEnded extends Error {
  override readonly name = 'ConnectionEnded';
}

export class Connection {
  readonly reader: MessageReader;
  readonly #outbox: Outbox;
  readonly #poller: Poller;
  readonly #descriptorWords = new Int32Array(FIRST_DESCRIPTOR + MOST_DESCRIPTORS);
  #broken = false;

  /** Takes ownership of the socket `fd`. */
  constructor(
    private readonly native: Native,
    private readonly fd: number,
    maxMessageBytes: number,
    private readonly owner: ConnectionOwner,
  ) {
    this.reader = new MessageReader(maxMessageBytes, (descriptor) => native.close(descriptor));
    this.#outbox = new Outbox(native, fd);
    this.#poller = new native.Poller(fd, () => this.#ready());
    this.#poller.start(READABLE);
  }

  /** The client does not read its replies, or is gone: do not serve further requests now. */
  get isHeldUp(): boolean {
    return this.#broken || !this.#outbox.isEmpty;
  }

  /** Receives into the reader. False if nothing has arrived within `spinUs`. @throws ConnectionEnded */
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
    // A message may arrive in as many receives as it has bytes, each of which may carry descriptors.
    if (reader.heldDescriptors > MOST_DESCRIPTORS) {
      throw new ConnectionEnded('the client passed more descriptors than one message may have');
    }
    return true;
  }

  /** Sends `buffer[0 … sizeBytes - 1]`, then `payload`. All buffers may be reused afterwards. */
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
      this.#breakOff(`the client does not read: ${waitingBytes} bytes are queued for it`);
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

  /** Deferred: the device may be the sender, and must not be reset in the middle of sending. */
  #breakOff(reason: string): void {
    this.#broken = true;
    this.#poller.stop();
    setImmediate(() => this.owner.broken(reason));
  }
}
