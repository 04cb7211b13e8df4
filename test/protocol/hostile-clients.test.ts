/** Malicious clients, and clients that behave so: the server must neither crash, nor hang, nor grow, nor leak. */
import { describe, expect, test } from 'vitest';
import { encodeHeader } from '../../emulator/vfio-user/codec';
import { Command, HEADER_BYTES } from '../../emulator/vfio-user/wire';
import { accessOf, viewOf } from '../support/vfio-user-client';
import { FakeDevice } from './fake-device';
import { Errno, errorReply, serving, sharedMemory, until } from './serving';

const MIB = 1 << 20;

function messageOf(command: number, payload: Uint8Array, flags = 0): Uint8Array {
  const message = new Uint8Array(HEADER_BYTES + payload.length);
  encodeHeader(viewOf(message), 0, command, message.length, flags);
  message.set(payload, HEADER_BYTES);
  return message;
}

const turns = async (count: number): Promise<void> => {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
};

describe('a client that disconnects', () => {
  test('while the device accesses its memory leads to a reset after the access, not in the middle', async () => {
    const { connect, device, disconnected } = await serving();
    const client = await connect();
    await client.dmaMap({ iova: 0n, sizeBytes: 4096n });
    let outcome: unknown;
    device.onWrite = () => {
      device.dma.read(0, new Uint8Array(4)).onSettled(
        () => {},
        (error) => (outcome = error),
      );
      device.calls.push('write done');
    };
    client.postRegionWrite(0, 0, Uint8Array.of(1));
    client.close();
    await disconnected();
    await until('the DMA to fail', () => outcome !== undefined);
    expect(outcome).toMatchObject({ name: 'DmaError', reason: 'client-error' });
    expect(device.calls).toEqual(['write 0:0x0=01', 'write done', 'reset']);
  });

  test('is noticed, although replies are unread and requests of a slow device are pending', async () => {
    const { connect, device, disconnected } = await serving();
    const client = await connect();
    client.stopReading();
    client.sendMessage({ command: Command.REGION_READ, payload: accessOf(0, 0, 4) });
    await until('the reply to be on its way', () => device.calls.length === 1);
    await turns(10);
    device.onWrite = () => {
      for (const startedMs = performance.now(); performance.now() - startedMs < 5;);
    };
    client.postRegionWrite(0, 0, Uint8Array.of(1));
    client.close();
    await disconnected();
    await (await connect()).reset();
  });
});

describe('descriptors', () => {
  test('in a region access are closed, and the access is done', async () => {
    const memory = sharedMemory(4096);
    const { connect } = await serving();
    const client = await connect();
    const data = Uint8Array.of(1, 2, 3, 4);
    const write = Buffer.concat([accessOf(0, 8, 4), data]);
    await client.request(Command.REGION_WRITE, write, [memory.fd]);
    const { payload } = await client.request(Command.REGION_READ, accessOf(0, 8, 4), [memory.fd, memory.fd]);
    expect([...payload.subarray(16)]).toEqual([...data]);
  });

  test('with every byte of a message end the connection before the process has too many', async () => {
    const memory = sharedMemory(4096);
    const { connect, disconnected, events } = await serving();
    const client = await connect();
    const long = messageOf(Command.REGION_WRITE, new Uint8Array(4096));
    const many = Array.from({ length: 100 }, () => memory.fd);
    for (let at = 0; at < 3; at++) client.sendRaw(long.subarray(at, at + 1), many);
    await disconnected();
    expect(events.at(-1)).toMatchObject({ reason: 'the client passed more descriptors than one message may have' });
    await (await connect()).reset();
  });
});

describe('a client that does not read', () => {
  test('makes the server keep one reply, however many requests it has sent', async () => {
    const { connect, device } = await serving(new FakeDevice(undefined, { regionBytes: MIB }));
    const client = await connect();
    client.stopReading();
    const request = messageOf(Command.REGION_READ, accessOf(0, 0, MIB));
    client.sendRaw(Buffer.concat(Array.from({ length: 100 }, () => request)));
    await until('the first request to be served', () => device.calls.length > 0);
    await turns(100);
    expect(device.calls).toHaveLength(1);
    client.readOn();
    await client.regionRead(0, 0, 4);
    expect(client.unexpectedReplies).toHaveLength(100);
  });

  test('is disconnected when too many messages of the device wait for it', async () => {
    const { connect, device, disconnected, events } = await serving();
    const client = await connect();
    await client.dmaMap({ iova: 0n, sizeBytes: BigInt(MIB) });
    client.stopReading();
    const writes = Array.from({ length: 70 }, () => device.dma.write(0, new Uint8Array(MIB)).promise());
    const outcomes = Promise.allSettled(writes);
    await disconnected();
    expect(events.at(-1)).toMatchObject({
      reason: expect.stringMatching(/^the client does not read: \d+ bytes are queued/),
    });
    expect((await outcomes).every(({ status }) => status === 'rejected')).toBe(true);
  });
});

describe('a client that maps without limit', () => {
  test('is refused what exceeds the negotiated limit, others are not, and all is released when it disconnects', async () => {
    const memory = sharedMemory(4096);
    const greedy = await serving();
    const other = await serving();
    const client = await greedy.connect({ timeoutMs: 15_000 });
    const map = (page: number): Promise<void> =>
      client.dmaMap({ iova: BigInt(page) * 4096n, sizeBytes: 4096n, fd: memory.fd });
    const outcomes = await Promise.allSettled(Array.from({ length: 65_536 }, (_, page) => map(page)));
    const refused = outcomes.filter((outcome) => outcome.status === 'rejected');
    expect(refused.map(({ reason }) => reason as unknown)).toEqual([errorReply(Errno.ENOSPC)]);
    const neighbour = await other.connect();
    await neighbour.dmaMap({ iova: 0n, sizeBytes: 4096n, fd: memory.fd });
    client.close();
    await greedy.disconnected();
    expect(greedy.device.map.size).toBe(0);
  });

  test('in more pieces of one range than this process can have fails the DMA beyond, and nothing else', async () => {
    const memory = sharedMemory(4096 * 33_000);
    const { connect, device } = await serving(new FakeDevice(), { dmaPieceBytes: 4096 });
    const client = await connect();
    await client.dmaMap({ iova: 1n << 40n, sizeBytes: 4096n, fd: memory.fd });
    await client.dmaMap({ iova: 0n, sizeBytes: BigInt(4096 * 33_000), fd: memory.fd });
    const read = (piece: number): boolean => device.dma.read(piece * 4096, new Uint8Array(1)).isDone;
    let piece = 0;
    const readAll = (): void => {
      for (; piece < 33_000; piece++) expect(read(piece)).toBe(true);
    };
    expect(readAll).toThrow(
      expect.objectContaining({
        reason: 'client-error',
        message: expect.stringMatching(/cannot be mapped: .*32768 ranges mapped already/),
      }),
    );
    expect(piece).toBeGreaterThan(30_000);
    expect(read(0)).toBe(true);
    await client.dmaUnmap(0n, BigInt(4096 * 33_000));
    expect(device.map.size).toBe(1);
  });

  test('memory without a descriptor is refused what exceeds the negotiated limit', async () => {
    const { connect } = await serving();
    const client = await connect({ timeoutMs: 15_000 });
    const map = (page: number): Promise<void> => client.dmaMap({ iova: BigInt(page) * 4096n, sizeBytes: 4096n });
    const outcomes = await Promise.allSettled(Array.from({ length: 65_536 }, (_, page) => map(page)));
    const refused = outcomes.filter((outcome) => outcome.status === 'rejected');
    expect(refused.map(({ reason }) => reason as unknown)).toEqual([errorReply(Errno.ENOSPC)]);
  });
});
