/**
 * Messages over a byte stream: sends them with back-pressure, hands over what arrives, says once why it ended.
 *
 * It knows frames but no meanings; those are in guest-channel.ts. Source: qemu/channel/protocol.ts.
 */
import { type Duplex } from 'node:stream';
import { encodeFrame, FrameDecoder } from './framing';
import { type AgentMessage, type HostMessage } from './protocol';

export interface MessageStreamHandlers {
  onMessage(message: AgentMessage): void;
  /** The stream is of no more use. Called once, also after `destroy`. */
  onEnd(reason: Error): void;
}

export class MessageStream {
  readonly #stream: Duplex;
  readonly #handlers: MessageStreamHandlers;
  readonly #decoder: FrameDecoder;
  #writable: Promise<void> = Promise.resolve();
  #ended = false;

  /** All that arrives before a frame which begins with `start` is passed over. */
  constructor(stream: Duplex, start: Buffer, handlers: MessageStreamHandlers) {
    this.#decoder = new FrameDecoder(start);
    this.#stream = stream;
    this.#handlers = handlers;
    stream.on('data', (piece: Buffer) => this.#receive(piece));
    stream.on('error', (cause) =>
      this.destroy(new Error(`the channel to the guest agent broke: ${cause.message}`, { cause })),
    );
    stream.on('end', () => this.destroy(new Error('the other side closed the channel to the guest agent')));
    stream.on('close', () => this.destroy(new Error('the channel to the guest agent was closed')));
  }

  /** Queues one message. Await the result before sending bulk data: it is fulfilled once the stream takes more. */
  send(message: HostMessage): Promise<void> {
    if (!this.#ended && !this.#stream.write(encodeFrame(message))) {
      this.#writable = new Promise((resolve) => {
        const settle = (): void => {
          this.#stream.off('drain', settle).off('close', settle);
          resolve();
        };
        this.#stream.on('drain', settle).on('close', settle);
      });
    }
    return this.#writable;
  }

  destroy(reason: Error): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#stream.destroy();
    this.#handlers.onEnd(reason);
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
