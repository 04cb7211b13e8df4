/** The agent with a misbehaving host: it replies to malformed and oversized frames with an error and continues. */
import { once } from 'node:events';
import { type Socket } from 'node:net';
import { encode } from 'msgpack-lite';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { FrameDecoder } from './framing';
import { LocalAgent } from '../../test/support/local-agent';

let agent: LocalAgent;
let socket: Socket;
let replies: AsyncGenerator<Record<string, unknown>, void>;
beforeAll(async () => (agent = await LocalAgent.start()), 60_000);
afterAll(async () => agent[Symbol.asyncDispose]());
beforeEach(async () => {
  socket = await agent.connect();
  replies = messages(socket);
  await greet();
});
afterEach(() => socket.destroy());

async function* messages(from: Socket): AsyncGenerator<Record<string, unknown>, void> {
  const decoder = new FrameDecoder();
  for await (const piece of from) yield* decoder.push(piece as Buffer) as Generator<Record<string, unknown>>;
}

async function reply(): Promise<Record<string, unknown>> {
  const { value } = await replies.next();
  if (value === undefined) throw new Error('the agent closed the socket instead of answering');
  return value;
}

function frame(body: Uint8Array, announcedBytes = body.length): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt32LE(announcedBytes);
  return Buffer.concat([head, body]);
}

const send = (message: unknown): boolean => socket.write(frame(encode(message)));

/** The host's first message. Before it, the agent sends a hello of its own when the host connects. */
async function greet(): Promise<void> {
  expect(await reply()).not.toHaveProperty('id');
  send({ type: 'hello', id: 70_000 });
  expect(await reply()).toMatchObject({ type: 'hello', id: 70_000 });
}

async function expectAlive(): Promise<void> {
  send({ type: 'ping', id: 99 });
  expect(await reply()).toEqual({ type: 'pong', id: 99 });
  expect(agent.running).toBe(true);
}

test.each([
  ['an empty body', []],
  ['a number', [7]],
  ['an array', [0x91, 1]],
  ['the reserved format byte', [0xc1]],
  ['a map without its pairs', [0x8f]],
  ['a map of 4 billion pairs', [0xdf, 0xff, 0xff, 0xff, 0xff]],
  ['a key that is not a string', [0x81, 1, 1]],
  ['a string longer than the frame', [0x81, 0xdb, 0xff, 0xff, 0xff, 0xff]],
  ['an extension longer than the frame', [0x81, 0xa1, 0x61, 0xc9, 0xff, 0xff, 0xff, 0xff, 1]],
  ['arrays nested 200 levels deep and truncated', [0x81, 0xa1, 0x61, ...Array<number>(200).fill(0x91)]],
  ['an array that claims more items than bytes', [0x81, 0xa1, 0x61, 0xdd, 0x7f, 0xff, 0xff, 0xff]],
  ['bytes after the map', [...encode({ type: 'ping' }), 0]],
  ['a map without a type', [...encode({ id: true })]],
])('a frame with %s gets an error and the agent continues', async (_, body) => {
  socket.write(frame(Uint8Array.from(body)));
  expect(await reply()).toMatchObject({
    type: 'error',
    message: expect.stringContaining(`frame of ${body.length} bytes`),
  });
  await expectAlive();
});

test('a frame truncated at any byte gets an error and the agent continues', async () => {
  const whole = encode({
    type: 'exec',
    argv: ['true'],
    env: { A: 'b' },
    timeoutMs: 2 ** 40,
    stdin: false,
    more: [1.5, -7, null],
  });
  for (let sizeBytes = 0; sizeBytes < whole.length; sizeBytes++) socket.write(frame(whole.subarray(0, sizeBytes)));
  for (let sizeBytes = 0; sizeBytes < whole.length; sizeBytes++) expect(await reply()).toMatchObject({ type: 'error' });
  await expectAlive();
});

test('an unknown field is ignored, whatever its MessagePack format', async () => {
  const unknown = [
    0,
    127,
    -1,
    -32,
    -33,
    200,
    70_000,
    2 ** 40,
    -200,
    -70_000,
    -(2 ** 40),
    1.5,
    true,
    null,
    'short',
    'x'.repeat(40),
    'y'.repeat(300),
    'z'.repeat(70_000),
    Buffer.alloc(10),
    Buffer.alloc(300),
    Buffer.alloc(70_000),
    [[], [1, [2]]],
    Array(20).fill(0),
    { a: { b: {} } },
    new Date(0),
    Uint8Array.of(1),
    new Float64Array(3),
    new Uint8Array(300),
  ];
  send({ before: unknown, type: 'ping', also: [-1, {}], id: 5 });
  expect(await reply()).toEqual({ type: 'pong', id: 5 });
});

test('a field of the wrong type fails its request', async () => {
  send({ type: 'exec', id: 3, argv: ['true'], timeoutMs: 'soon' });
  expect(await reply()).toMatchObject({ type: 'failed', id: 3, code: 'EBADMSG' });
  send({ type: 'exec', id: 4, argv: ['true', 1] });
  expect(await reply()).toMatchObject({ type: 'failed', id: 4, code: 'EINVAL' });
  send({ type: 'exec', id: 5, argv: ['tr\0ue'] });
  expect(await reply()).toMatchObject({ type: 'failed', id: 5, code: 'EINVAL' });
  send({ type: 'exec', id: 6, argv: ['true'], env: { A: 1 } });
  expect(await reply()).toMatchObject({ type: 'failed', id: 6, code: 'EINVAL' });
  send({ type: 'ping', id: -1 });
  expect(await reply()).toMatchObject({ type: 'error' });
  await expectAlive();
});

test('a message of unknown type is refused, and the error names the type', async () => {
  send({ type: 'teleport', id: 8 });
  expect(await reply()).toMatchObject({
    type: 'failed',
    id: 8,
    code: 'ENOSYS',
    message: expect.stringContaining('teleport'),
  });
});

test('an oversized frame is skipped and the next one is processed', async () => {
  const sizeBytes = 3_000_000;
  socket.write(frame(Buffer.alloc(sizeBytes, 0x81)));
  expect(await reply()).toMatchObject({
    type: 'error',
    message: expect.stringContaining('3000000 bytes exceeds the limit'),
  });
  await expectAlive();
});

test('a message about a finished request is ignored', async () => {
  for (const type of ['input', 'end', 'credit', 'signal'])
    send({ type, id: 12, bytes: 1, signal: 'SIGTERM', data: Buffer.alloc(1) });
  await expectAlive();
});

test('input beyond the flow-control window is discarded with an error', async () => {
  send({ type: 'exec', id: 1, argv: ['sleep', '60'], stdin: true });
  expect(await reply()).toMatchObject({ type: 'started', id: 1 });
  for (let i = 0; i < 20; i++) send({ type: 'input', id: 1, data: Buffer.alloc(64 * 1024) });
  let message = await reply();
  while (message['type'] === 'credit') message = await reply();
  expect(message).toMatchObject({
    type: 'error',
    message: expect.stringMatching(/exceed its window of 262144 and were discarded/),
  });
});

test('the replies to many bad frames are not lost when the host reads late', async () => {
  const count = 50_000;
  socket.pause();
  const flushed = once(socket, 'drain');
  for (let i = 0; i < count; i++) socket.write(frame(Buffer.of(7)));
  let errors = 0;
  while (errors < count) {
    expect((await reply())['type']).toBe('error');
    errors++;
  }
  await flushed;
  await expectAlive();
});

test('a host that disconnects in the middle of a frame does not affect the next one', async () => {
  socket.write(Buffer.of(100, 0, 0, 0, 1, 2, 3));
  socket.destroy();
  socket = await agent.connect();
  replies = messages(socket);
  await greet();
  await expectAlive();
});

const HELLO = frame(encode({ type: 'hello', id: 80_000 }));
test.each([
  ['the rest of a frame', Buffer.alloc(100_000, 7)],
  ['the head of a frame that would swallow it', Buffer.of(0, 0, 2, 0, 0x81)],
  ['the head of a frame over the limit', Buffer.of(0xff, 0xff, 0xff, 0xff)],
  ['whole frames', Buffer.concat([frame(encode({ type: 'ping', id: 1 })), frame(Buffer.alloc(0))])],
  ...Array.from({ length: HELLO.length - 1 }, (_, i): [string, Buffer] => [
    `another hello, truncated after ${i + 1} bytes`,
    HELLO.subarray(0, i + 1),
  ]),
])('a hello is found after what an earlier host has left in the stream: %s', async (_, left) => {
  socket.destroy();
  socket = await agent.connect();
  replies = messages(socket);
  socket.write(left);
  await greet();
  await expectAlive();
});

test('a hello is found however it is split into pieces', async () => {
  socket.destroy();
  socket = await agent.connect();
  socket.setNoDelay(true);
  replies = messages(socket);
  expect(await reply()).not.toHaveProperty('id');
  for (const byte of Buffer.concat([Buffer.alloc(40, 9), HELLO])) {
    await new Promise((written) => socket.write(Buffer.of(byte), written));
  }
  expect(await reply()).toMatchObject({ type: 'hello', id: 80_000 });
  await expectAlive();
});
