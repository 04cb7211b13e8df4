/**
 * Messages over a byte stream: sends them with back-pressure, delivers those that arrive, and reports once why it
 * ended.
 *
 * It knows frames but not their meaning, which is in guest-channel.ts. Source: qemu/channel/protocol.ts.
 */
import { type Duplex } from 'node:stream';
import { encodeFrame, FrameDecoder } from './framing';
import { type AgentMessage, type HostMessage } from './protocol';

export interface MessageStreamHandlers {
  onMessage(message: AgentMessage): void;
  /** The stream has ended. Called once, also after `destroy`. */
  onEnd(reason: Error): void;
}

export class MessageStream {
  readonly #stream: Duplex;
  readonly #handlers: MessageStreamHandlers;
  readonly #decoder: FrameDecoder;
  #writable: Promise<void> = Promise.resolve();
  /** Fulfils `#writable` while senders wait for it. */
  #settle: (() => void) | undefined;
  #ended = false;

  /** Everything that arrives before a frame that begins with `start` is skipped. */
  constructor(stream: Duplex, start: Buffer, handlers: MessageStreamHandlers) {
    this.#decoder = new FrameDecoder(start);
    this.#stream = stream;
    this.#handlers = handlers;
    stream.on('data', (piece: Buffer) => this.#receive(piece));
    stream.on('error', (cause) =>
      this.destroy(new Error(`the channel to the guest agent failed: ${cause.message}`, { cause })),
    );
    stream.on('end', () => this.destroy(new Error('the other side closed the channel to the guest agent')));
    stream.on('drain', () => this.#goOn());
    stream.on('close', () => this.destroy(new Error('the channel to the guest agent was closed')));
  }

  /** Queues one message. Await the result before sending bulk data: it is fulfilled when the stream accepts more. */
  send(message: HostMessage): Promise<void> {
    if (!this.#ended && !this.#stream.write(encodeFrame(message)) && this.#settle === undefined) {
      this.#writable = new Promise((resolve) => (this.#settle = resolve));
    }
    return this.#writable;
  }

  destroy(reason: Error): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#stream.destroy();
    this.#goOn();
    this.#handlers.onEnd(reason);
  }

  /** Releases all waiting senders. */
  #goOn(): void {
    this.#settle?.();
    this.#settle = undefined;
  }

  #receive(piece: Buffer): void {
    if (this.#ended) return;
    try {
      for (const message of this.#decoder.push(piece)) this.#handlers.onMessage(message as AgentMessage);
    } catch (error) {
      this.destroy(error as Error);
    }
  }
}
