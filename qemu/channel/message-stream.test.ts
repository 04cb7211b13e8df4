/** Back-pressure of the message stream. Frames are tested in framing.test.ts, messages in guest-channel.test.ts. */
import { Duplex } from 'node:stream';
import { expect, test } from 'vitest';
import { MessageStream } from './message-stream';
import { type HostMessage } from './protocol';

const SIZE_MESSAGE = { type: 'resize', id: 1, rows: 24, columns: 80 } as unknown as HostMessage;

/** A stream that asks to wait after one byte, and accepts a piece only when told to. */
class Reluctant extends Duplex {
  #take: (() => void) | undefined;
  constructor() {
    super({ writableHighWaterMark: 1 });
  }
  override _read(): void {}
  override _write(_piece: Buffer, _encoding: string, taken: () => void): void {
    this.#take = taken;
  }
  /** Accepts what has been written so far, and everything after it. */
  giveWay(): void {
    this._write = (_piece, _encoding, taken) => taken();
    this.#take?.();
  }
}

function newStream() {
  const stream = new Reluctant();
  const messages = new MessageStream(stream, Buffer.from('start'), { onMessage: () => {}, onEnd: () => {} });
  return { stream, messages };
}

/** Whether the promise is fulfilled by now. */
const isFulfilled = (promise: Promise<void>) => Promise.race([promise.then(() => true), Promise.resolve(false)]);

test('any number of senders wait with one listener, and continue together', async () => {
  const { stream, messages } = newStream();
  const listeners = ['drain', 'close'].map((event) => stream.listenerCount(event));
  const sent = Array.from({ length: 40 }, () => messages.send(SIZE_MESSAGE));
  expect(['drain', 'close'].map((event) => stream.listenerCount(event))).toEqual(listeners);
  expect(await isFulfilled(Promise.race(sent))).toBe(false);
  stream.giveWay();
  await Promise.all(sent);
});

test('a waiting sender is released at the end of the stream', async () => {
  const { messages } = newStream();
  const sent = messages.send(SIZE_MESSAGE);
  expect(await isFulfilled(sent)).toBe(false);
  messages.destroy(new Error('the end'));
  await sent;
});
