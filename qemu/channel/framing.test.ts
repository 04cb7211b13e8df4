import { expect, test } from 'vitest';
import { encodeFrame, FrameDecoder } from './framing';
import { MAX_FRAME_BYTES } from './protocol';

const PING = Buffer.from([
  0x0f,
  0,
  0,
  0,
  0x82,
  0xa4,
  ...Buffer.from('type'),
  0xa4,
  ...Buffer.from('ping'),
  0xa2,
  0x69,
  0x64,
  7,
]);

test('a frame is a little-endian length and a MessagePack map', () => {
  expect(encodeFrame({ type: 'ping', id: 7 })).toEqual(PING);
});

test('a Uint8Array is encoded as binary, not as an extension type', () => {
  const frame = encodeFrame({ type: 'input', id: 1, data: Uint8Array.of(1, 2, 3) });
  expect([...new FrameDecoder().push(frame)]).toEqual([{ type: 'input', id: 1, data: Buffer.from([1, 2, 3]) }]);
});

test('frames are decoded completely, however the stream is split', () => {
  const decoder = new FrameDecoder();
  const messages: unknown[] = [];
  for (const byte of Buffer.concat([PING, PING])) messages.push(...decoder.push(Buffer.of(byte)));
  messages.push(...decoder.push(Buffer.concat([PING, PING, PING.subarray(0, 3)])));
  messages.push(...decoder.push(PING.subarray(3)));
  expect(messages).toEqual(Array(5).fill({ type: 'ping', id: 7 }));
});

test('a message longer than a frame is refused, and the error has the limit and the alternative', () => {
  expect(() => encodeFrame({ type: 'input', id: 1, data: Buffer.alloc(MAX_FRAME_BYTES) })).toThrow(
    /exceeds the frame limit of 262144: push long data as a file instead/,
  );
});

test('a frame length over the limit is an error', () => {
  expect(() => [...new FrameDecoder().push(Buffer.from('GET / HTTP/1.1'))]).toThrow(/frame of 542393671 bytes/);
});

test.each([
  ['is truncated', [0x82, 0xa4]],
  ['is not a map', [0x07]],
  ['holds an unknown format', [0xc1]],
  ['is empty', []],
])('a frame whose body %s is an error', (_, body) => {
  expect(() => [...new FrameDecoder().push(Buffer.from([body.length, 0, 0, 0, ...body]))]).toThrow(
    /frame of \d bytes that/,
  );
});
