/** The stream's back-pressure. What its frames hold: framing.test.ts; what they mean: guest-channel.test.ts. */
import { Duplex } from 'node:stream';
import { expect, test } from 'vitest';
import { MessageStream } from './message-stream';
import { type HostMessage } from './protocol';

const SIZE_MESSAGE = { type: 'resize', id: 1, rows: 24, columns: 80 } as unknown as HostMessage;

/** A stream that takes one byte before it asks to wait, and a piece only when it is told to. */
class Reluctant extends Duplex {
  #take: (() => void) | undefined;
  constructor() {
    super({ writableHighWaterMark: 1 });
  }
  override _read(): void {}
  override _write(_piece: Buffer, _encoding: string, taken: () => void): void {
    this.#take = taken;
  }
  /** Takes what has been written up to now, and what follows. */
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

/** Whether it is fulfilled by now. */
const isFulfilled = (promise: Promise<void>) => Promise.race([promise.then(() => true), Promise.resolve(false)]);

test('any number of senders wait with one listener, and go on together', async () => {
  const { stream, messages } = newStream();
  const listeners = ['drain', 'close'].map((event) => stream.listenerCount(event));
  const sent = Array.from({ length: 40 }, () => messages.send(SIZE_MESSAGE));
  expect(['drain', 'close'].map((event) => stream.listenerCount(event))).toEqual(listeners);
  expect(await isFulfilled(Promise.race(sent))).toBe(false);
  stream.giveWay();
  await Promise.all(sent);
});

test('who waits to send is not left waiting by the end of the stream', async () => {
  const { messages } = newStream();
  const sent = messages.send(SIZE_MESSAGE);
  expect(await isFulfilled(sent)).toBe(false);
  messages.destroy(new Error('the end'));
  await sent;
});
