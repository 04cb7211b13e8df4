import { expect, test } from 'vitest';
import { FIRST_DESCRIPTOR, WOULD_BLOCK } from '../native';
import { FakeNative } from '../../test/support/native/fake';
import { Outbox } from './outbox';

function setUp() {
  const native = new FakeNative();
  const [mine, theirs] = native.socketpair();
  const words = new Int32Array(FIRST_DESCRIPTOR + 8);
  const buffer = new Uint8Array(1 << 20);
  const received: number[] = [];
  const descriptors: number[] = [];
  /** Reads what has arrived, into `received`. */
  const drain = (): void => {
    for (let got = 1; got > 0;) {
      got = native.receive(theirs, buffer, 0, buffer.length, words, 0);
      if (got !== WOULD_BLOCK) for (const byte of buffer.subarray(0, got)) received.push(byte);
      descriptors.push(...words.subarray(FIRST_DESCRIPTOR, FIRST_DESCRIPTOR + words[0]!));
    }
  };
  return { native, outbox: new Outbox(native, mine), theirs, drain, received, descriptors };
}

test('an outbox is empty after a send that the socket accepts at once', () => {
  const { outbox, drain, received } = setUp();
  outbox.send(Uint8Array.of(1, 2, 3, 4), 2, Uint8Array.of(5));
  expect(outbox.isEmpty).toBe(true);
  drain();
  expect(received).toEqual([1, 2, 5]);
});

test('an outbox queues data that the peer does not read, in order, and the buffers can be reused meanwhile', () => {
  const { outbox, drain, received } = setUp();
  const header = Uint8Array.of(1, 2);
  const payload = new Uint8Array(300_000).fill(3);
  outbox.send(header, 2, payload);
  expect(outbox.isEmpty).toBe(false);
  header.fill(4);
  payload.fill(9);
  outbox.send(header, 2);
  while (!outbox.flush()) drain();
  drain();
  expect(received.length).toBe(300_004);
  expect(received.slice(0, 2)).toEqual([1, 2]);
  expect(received.slice(2, -2).every((byte) => byte === 3)).toBe(true);
  expect(received.slice(-2)).toEqual([4, 4]);
});

test('an outbox passes the descriptors of a queued message once, with its first byte', () => {
  const { native, outbox, drain, descriptors } = setUp();
  const counter = native.eventfd();
  outbox.send(new Uint8Array(300_000), 300_000);
  outbox.send(new Uint8Array(300_000), 300_000, undefined, Int32Array.of(counter));
  while (!outbox.flush()) drain();
  drain();
  expect(descriptors).toHaveLength(1);
});

test('an outbox throws EPIPE when the connection is closed', () => {
  const { native, outbox, theirs } = setUp();
  native.close(theirs);
  expect(() => outbox.send(Uint8Array.of(1), 1)).toThrow(expect.objectContaining({ code: 'EPIPE' }));
});
