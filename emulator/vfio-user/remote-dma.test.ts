import { describe, expect, test, vi } from 'vitest';
import { encodeHeader } from './codec';
import { RemoteDma } from './remote-dma';

interface Sent {
  id: number;
  command: number;
  iova: bigint;
  count: bigint;
  data: number[];
}

function setUp(maxTransferBytes = 8, timeoutMs = 60_000) {
  const sent: Sent[] = [];
  const remote = new RemoteDma({
    maxTransferBytes,
    timeoutMs,
    send: (header, payload) => {
      const view = new DataView(header.buffer);
      sent.push({
        id: view.getUint16(0, true),
        command: view.getUint16(2, true),
        iova: view.getBigUint64(16, true),
        count: view.getBigUint64(24, true),
        data: [...(payload ?? [])],
      });
    },
  });
  /** Replies as QEMU does: address and count again, then the data of a read. */
  const reply = (
    { id, command, iova, count }: Sent,
    data: number[] = [],
    change: { errno?: number; count?: bigint } = {},
  ) => {
    const bytes = new Uint8Array(change.errno ? 16 : 32 + data.length);
    const view = new DataView(bytes.buffer);
    encodeHeader(view, id, command, bytes.length, change.errno ? 0x21 : 1, change.errno ?? 0);
    if (!change.errno) {
      view.setBigUint64(16, iova, true);
      view.setBigUint64(24, change.count ?? count, true);
      bytes.set(data, 32);
    }
    return remote.settle(bytes, view, 0, bytes.length);
  };
  return { remote, sent, reply };
}

const failure = (text: string) =>
  expect.objectContaining({
    name: 'DmaError',
    reason: 'client-error',
    message: expect.stringContaining(text) as string,
  });

describe('reading', () => {
  test('fills the buffer from the reply', async () => {
    const { remote, sent, reply } = setUp();
    const into = new Uint8Array(3);
    const done = remote.read(0x1_0000_0004n, into);
    expect(sent).toEqual([{ id: 1, command: 11, iova: 0x1_0000_0004n, count: 3n, data: [] }]);
    expect(reply(sent[0]!, [7, 8, 9])).toBe(true);
    await done;
    expect([...into]).toEqual([7, 8, 9]);
  });

  test('is split into pieces of the negotiated size, sent one after the other (vfio-user DMA_READ)', async () => {
    const { remote, sent, reply } = setUp(4);
    const into = new Uint8Array(10);
    const done = remote.read(0x1000n, into);
    for (let piece = 0; piece < 3; piece++) {
      expect(sent).toHaveLength(piece + 1);
      const { count } = sent[piece]!;
      reply(
        sent[piece]!,
        Array.from({ length: Number(count) }, () => piece + 1),
      );
      await vi.waitFor(() => expect(piece === 2 || sent.length === piece + 2).toBe(true));
    }
    await done;
    expect(sent.map(({ iova, count }) => [iova, count])).toEqual([
      [0x1000n, 4n],
      [0x1004n, 4n],
      [0x1008n, 2n],
    ]);
    expect([...into]).toEqual([1, 1, 1, 1, 2, 2, 2, 2, 3, 3]);
  });

  test('matches replies in any order to concurrent accesses by their ids (vfio-user header)', async () => {
    const { remote, sent, reply } = setUp();
    const one = new Uint8Array(1);
    const other = new Uint8Array(1);
    const done = Promise.all([remote.read(1n, one), remote.read(2n, other)]);
    reply(sent[1]!, [22]);
    reply(sent[0]!, [11]);
    await done;
    expect([one[0], other[0]]).toEqual([11, 22]);
  });
});

describe('writing', () => {
  test('sends the data and completes with the reply', async () => {
    const { remote, sent, reply } = setUp();
    const done = remote.write(0x2000n, Uint8Array.of(1, 2, 3));
    expect(sent).toEqual([{ id: 1, command: 12, iova: 0x2000n, count: 3n, data: [1, 2, 3] }]);
    reply(sent[0]!);
    await done;
  });
});

describe('failures', () => {
  test('an error reply becomes a DmaError that names the error', async () => {
    const { remote, sent, reply } = setUp();
    const done = remote.read(0x3000n, new Uint8Array(4));
    reply(sent[0]!, [], { errno: 19 });
    await expect(done).rejects.toThrow(
      failure('DMA read of 4 bytes at 0x3000: by message: the client refused (ENODEV)'),
    );
  });

  test('a reply with fewer bytes than requested is an error', async () => {
    const { remote, sent, reply } = setUp();
    const short = remote.read(0n, new Uint8Array(4));
    reply(sent[0]!, [1, 2]);
    await expect(short).rejects.toThrow(failure('the reply has 2 bytes'));
    const shortWrite = remote.write(0n, new Uint8Array(4));
    reply(sent[1]!, [], { count: 3n });
    await expect(shortWrite).rejects.toThrow(failure('the reply has 3 bytes'));
  });

  test('a missing reply is an error after the timeout, and a late reply is discarded', async () => {
    const { remote, sent, reply } = setUp(8, 1);
    const into = new Uint8Array(1);
    await expect(remote.read(0n, into)).rejects.toThrow(failure('no reply within 1 ms'));
    expect(reply(sent[0]!, [5])).toBe(true);
    expect(into[0]).toBe(0);
  });

  test('a reply without a request is not accepted', () => {
    const { reply } = setUp();
    expect(reply({ id: 9, command: 11, iova: 0n, count: 1n, data: [] }, [1])).toBe(false);
  });

  test('the end of the connection fails accesses in progress and all later ones', async () => {
    const { remote } = setUp();
    const under = remote.write(0n, new Uint8Array(1));
    remote.close();
    await expect(under).rejects.toThrow(failure('the client disconnected'));
    await expect(remote.read(0n, new Uint8Array(1))).rejects.toThrow(failure('the client disconnected'));
  });
});
