import { describe, expect, test } from 'vitest';
import { Command } from '../../emulator/vfio-user/wire';
import { accessOf, viewOf, words } from '../support/vfio-user-client';
import { FakeDevice } from './fake-device';
import { Errno, errorReply, native, serving, sharedMemory, until } from './serving';

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

describe('information', () => {
  test('the device is a PCI device that can be reset, with nine regions and five interrupt indexes (VFIO DEVICE_GET_INFO)', async () => {
    const client = await (await serving()).connect();
    expect(await client.deviceInfo()).toEqual({ flags: 3, regions: 9, irqs: 5 });
  });

  test.each([
    ['plain', 0, 3, 8192n],
    ['read-only', 1, 1, 4096n],
    ['absent', 3, 0, 0n],
    ['write-only', 4, 2, 4096n],
  ])('a %s region', async (_, index, flags, sizeBytes) => {
    const client = await (await serving()).connect();
    const { payload, descriptors } = await client.regionInfo(index);
    expect(payload.length).toBe(32);
    expect(viewOf(payload).getUint32(4, true)).toBe(flags);
    expect(viewOf(payload).getBigUint64(16, true)).toBe(sizeBytes);
    expect(descriptors).toEqual([]);
  });

  test('a region or interrupt index that does not exist, and an argsz without room, are refused', async () => {
    const client = await (await serving()).connect();
    await expect(client.regionInfo(9)).rejects.toThrow(errorReply(Errno.EINVAL));
    await expect(client.irqInfo(5)).rejects.toThrow(errorReply(Errno.EINVAL));
    await expect(client.regionInfo(0, 31)).rejects.toThrow(errorReply(Errno.EINVAL));
    await expect(client.request(Command.DEVICE_GET_INFO, words(8, 0, 0, 0))).rejects.toThrow(errorReply(Errno.EINVAL));
    await expect(client.request(Command.DEVICE_GET_INFO)).rejects.toThrow(errorReply(Errno.EINVAL));
  });

  test('no region has descriptors for I/O (vfio-user DEVICE_GET_REGION_IO_FDS)', async () => {
    const client = await (await serving()).connect();
    const { payload } = await client.request(Command.DEVICE_GET_REGION_IO_FDS, words(16, 0, 2, 0));
    expect([...payload]).toEqual([...words(16, 0, 2, 0)]);
    await expect(client.request(Command.DEVICE_GET_REGION_IO_FDS, words(16, 0, 9, 0))).rejects.toThrow(
      errorReply(Errno.EINVAL),
    );
  });
});

describe('reading and writing', () => {
  test.each([1, 2, 4, 8, 3, 256])(
    '%i bytes are written and read back (vfio-user REGION_READ, vfio-user REGION_WRITE)',
    async (sizeBytes) => {
      const { connect, device } = await serving();
      const client = await connect();
      const data = Uint8Array.from({ length: sizeBytes }, (_, i) => i + 1);
      await client.regionWrite(0, 0x10, data);
      expect(await client.regionRead(0, 0x10, sizeBytes)).toEqual(data);
      expect(device.calls[0]).toMatch(/^write 0:0x10=01/);
      expect(device.calls[1]).toBe(`read 0:0x10+${sizeBytes}`);
    },
  );

  test('posted writes that were sent are done by catchUp, without another turn of the event loop', async () => {
    const { connect, device, server } = await serving();
    const client = await connect();
    for (let i = 0; i < 100; i++) client.postRegionWrite(0, 4 * i, bytes(i, 0, 0, 0));
    server.catchUp();
    expect(device.calls).toHaveLength(100);
    server.catchUp();
    expect(device.calls).toHaveLength(100);
  });

  test('catchUp without a client does nothing', async () => {
    const { server, connectRaw, disconnected } = await serving();
    server.catchUp();
    connectRaw().close();
    await disconnected();
    server.catchUp();
  });

  test('a transfer of the negotiated size succeeds, and one more byte is refused (vfio-user REGION_READ, vfio-user REGION_WRITE)', async () => {
    const { connect } = await serving(new FakeDevice(undefined, { regionBytes: 0x20_0000 }));
    const client = await connect();
    const most = 1048576;
    const data = new Uint8Array(most).map((_, i) => i % 251);
    await client.regionWrite(0, 0, data);
    expect(Buffer.compare(await client.regionRead(0, 0, most), data)).toBe(0);
    await expect(client.regionRead(0, 0, most + 1)).rejects.toThrow(errorReply(Errno.EINVAL));
  });

  test('the reply repeats offset, region and count', async () => {
    const client = await (await serving()).connect();
    const { payload } = await client.request(
      Command.REGION_WRITE,
      Buffer.concat([accessOf(0, 0x20, 4), bytes(1, 2, 3, 4)]),
    );
    expect([...payload]).toEqual([...accessOf(0, 0x20, 4)]);
  });

  test.each([
    ['beyond the end', 0, 8190, 4],
    ['at an offset above the safe integers', 0, 0xffff_ffff_ffff_fffcn, 4],
    ['of no bytes', 0, 0, 0],
    ['of an absent region', 3, 0, 4],
    ['of a region that does not exist', 77, 0, 4],
  ])('an access %s is refused and never reaches the device', async (_, region, offset, sizeBytes) => {
    const { connect, device } = await serving();
    const client = await connect();
    await expect(client.regionRead(region, offset, sizeBytes)).rejects.toThrow(errorReply(Errno.EINVAL));
    await expect(client.regionWrite(region, offset, new Uint8Array(sizeBytes))).rejects.toThrow(
      errorReply(Errno.EINVAL),
    );
    expect(device.calls).toEqual([]);
  });

  test('reads of write-only and writes of read-only regions are refused', async () => {
    const client = await (await serving()).connect();
    await expect(client.regionRead(4, 0, 4)).rejects.toThrow(errorReply(Errno.EINVAL));
    await expect(client.regionWrite(1, 0, bytes(1))).rejects.toThrow(errorReply(Errno.EINVAL));
  });

  test('a write with less data than its count is refused', async () => {
    const client = await (await serving()).connect();
    const payload = Buffer.concat([accessOf(0, 0, 8), bytes(1, 2, 3, 4)]);
    await expect(client.request(Command.REGION_WRITE, payload)).rejects.toThrow(errorReply(Errno.EINVAL));
    await expect(client.request(Command.REGION_READ, words(0, 0))).rejects.toThrow(errorReply(Errno.EINVAL));
  });

  test('posted writes get no reply, not even an error, and are done before a later read (vfio-user REGION_WRITE)', async () => {
    const { connect, events } = await serving();
    const client = await connect();
    for (let i = 1; i <= 100; i++) client.postRegionWrite(0, 0x40, bytes(i));
    client.postRegionWrite(3, 0, bytes(1));
    expect([...(await client.regionRead(0, 0x40, 1))]).toEqual([100]);
    expect(events.filter(({ kind }) => kind === 'refused')).toHaveLength(1);
  });

  test('replies come in the order of the requests', async () => {
    const client = await (await serving()).connect();
    const order: number[] = [];
    await Promise.all(
      Array.from({ length: 50 }, (_, i) =>
        (i % 3 === 0
          ? client.deviceInfo()
          : i % 3 === 1
            ? client.regionRead(0, i, 1)
            : client.regionWrite(0, i, bytes(i))
        ).then(() => order.push(i)),
      ),
    );
    expect(order).toEqual(Array.from({ length: 50 }, (_, i) => i));
  });

  test('a model error is answered with EIO, reported, and the connection goes on', async () => {
    const { connect, device, events } = await serving();
    const client = await connect();
    device.onRead = () => {
      throw new TypeError('an error in the card');
    };
    await expect(client.regionRead(0, 0, 4)).rejects.toThrow(errorReply(Errno.EIO));
    expect(events.at(-1)).toMatchObject({ kind: 'device-error', error: { message: 'an error in the card' } });
    device.onRead = undefined;
    await client.regionRead(0, 0, 4);
  });
});

describe('a message that is longer than agreed', () => {
  test('is refused, and the messages behind it are served (vfio-user REGION_WRITE)', async () => {
    const { connect, device } = await serving(new FakeDevice(undefined, { regionBytes: 4 << 20 }));
    const client = await connect();
    for (const sizeBytes of [(1 << 20) + 1, 3 << 20]) {
      const write = client.regionWrite(0, 0, new Uint8Array(sizeBytes));
      await expect(write).rejects.toThrow(errorReply(Errno.EINVAL));
      client.postRegionWrite(0, 0, new Uint8Array(sizeBytes));
      await client.regionWrite(0, 8, bytes(2));
    }
    expect(device.calls).toEqual(['write 0:0x8=02', 'write 0:0x8=02']);
    expect(client.unexpectedReplies).toEqual([]);
  });

  test('has its descriptors closed', async () => {
    const memory = sharedMemory(4096);
    const { connect } = await serving();
    const client = await connect();
    const payload = new Uint8Array(2 << 20);
    await expect(client.request(Command.REGION_WRITE, payload, [memory.fd])).rejects.toThrow(errorReply(Errno.EINVAL));
    await client.dmaMap({ iova: 0n, sizeBytes: 4096n, fd: memory.fd });
  });

  test('ends the connection before the version is negotiated', async () => {
    const client = (await serving()).connectRaw();
    client.sendMessage({ command: Command.VERSION, payload: new Uint8Array(2 << 20) });
    await client.closed;
  });
});

describe('REGION_WRITE_MULTI', () => {
  const one = (region: number, offset: number, data: number[]): Uint8Array =>
    Buffer.concat([accessOf(region, offset, data.length), Uint8Array.from({ length: 8 }, (_, i) => data[i] ?? 0xee)]);
  const multi = (number: bigint, ...writes: Uint8Array[]): Uint8Array => {
    const head = new Uint8Array(8);
    viewOf(head).setBigUint64(0, number, true);
    return Buffer.concat([head, ...writes]);
  };

  test('does its writes in order and answers with their number (vfio-user REGION_WRITE_MULTI)', async () => {
    const { connect, device } = await serving();
    const client = await connect();
    const payload = multi(3n, one(0, 4, [1, 2, 3, 4]), one(0, 4, [5]), one(7, 0x10, [6, 7]));
    const reply = await client.request(Command.REGION_WRITE_MULTI, payload);
    expect(viewOf(reply.payload).getBigUint64(0, true)).toBe(3n);
    expect(device.calls).toEqual(['write 0:0x4=01020304', 'write 0:0x4=05', 'write 7:0x10=0607']);
  });

  test('takes 200 posted writes in one message', async () => {
    const { connect, device } = await serving();
    const client = await connect();
    const writes = Array.from({ length: 200 }, (_, i) => one(0, i * 8, [i]));
    client.post(Command.REGION_WRITE_MULTI, multi(200n, ...writes));
    await client.regionRead(0, 0, 1);
    expect(device.calls.filter((call) => call.startsWith('write'))).toHaveLength(200);
  });

  test('may be longer than its writes', async () => {
    const client = await (await serving()).connect();
    await client.request(Command.REGION_WRITE_MULTI, multi(1n, one(0, 0, [1]), new Uint8Array(24 * 5)));
  });

  test('that was not agreed is refused, and nothing is written (vfio-user REGION_WRITE_MULTI)', async () => {
    const { connectRaw, device } = await serving();
    const client = connectRaw();
    await client.negotiate({ writeMultiple: false });
    const request = client.request(Command.REGION_WRITE_MULTI, multi(1n, one(0, 4, [1])));
    await expect(request).rejects.toThrow(errorReply(Errno.EOPNOTSUPP));
    await client.regionWrite(0, 8, bytes(2));
    expect(device.calls).toEqual(['write 0:0x8=02']);
  });

  test.each([
    ['a count above its writes', multi(2n, one(0, 0, [1]))],
    ['a huge count of writes', multi(1n << 60n, one(0, 0, [1]))],
    ['a write of 9 bytes', multi(1n, one(0, 0, [1, 2, 3, 4, 5, 6, 7, 8, 9]))],
    ['a write out of bounds', multi(1n, one(0, 8192, [1]))],
    ['no count', new Uint8Array(4)],
  ])('with %s is refused', async (_, payload) => {
    const { connect, device } = await serving();
    const client = await connect();
    await expect(client.request(Command.REGION_WRITE_MULTI, payload)).rejects.toThrow(errorReply(Errno.EINVAL));
    expect(device.calls).toEqual([]);
  });
});

describe('a region that the client may map', () => {
  test('comes with its descriptor, and both sides see what the other writes (VFIO DEVICE_GET_REGION_INFO)', async () => {
    const memory = sharedMemory(0x4000);
    const areas = [{ offset: 0, sizeBytes: 0x4000 }];
    const { connect, device } = await serving(new FakeDevice({ ...memory, areas }));
    const client = await connect();
    const { payload, descriptors } = await client.regionInfo(2);
    expect(viewOf(payload).getUint32(4, true)).toBe(7);
    expect(descriptors).toHaveLength(1);
    const window = native.map(descriptors[0]!, Number(viewOf(payload).getBigUint64(24, true)), 0x4000, true);
    new Uint8Array(window)[0x123] = 0x5a;
    expect([...(await client.regionRead(2, 0x123, 1))]).toEqual([0x5a]);
    await client.regionWrite(2, 0x3fff, bytes(0xa5));
    expect(new Uint8Array(window)[0x3fff]).toBe(0xa5);
    expect(device.regions[2]![0x123]).toBe(0x5a);
    native.unmap(window);
    native.close(descriptors[0]!);
  });

  test('is not told of when no reply is wanted, although a descriptor would go with it (vfio-user header)', async () => {
    const memory = sharedMemory(0x4000);
    const { connect } = await serving(new FakeDevice({ ...memory, areas: [{ offset: 0, sizeBytes: 0x4000 }] }));
    const client = await connect();
    client.post(Command.DEVICE_GET_REGION_INFO, words(32, 0, 2, 0, 0, 0, 0, 0));
    await client.reset();
    expect(client.unexpectedReplies).toEqual([]);
  });

  test('in areas lists them in the second reply, of the size that the first reply has; each has a descriptor', async () => {
    const memory = sharedMemory(0x4000);
    const areas = [{ offset: 0x2000, sizeBytes: 0x1000 }];
    const { connect } = await serving(new FakeDevice({ ...memory, areas }));
    const client = await connect();
    const first = await client.regionInfo(2);
    const argsz = viewOf(first.payload).getUint32(0, true);
    expect([first.payload.length, argsz, first.descriptors.length]).toEqual([32, 64, 1]);
    const second = await client.regionInfo(2, argsz);
    const view = viewOf(second.payload);
    expect([second.payload.length, view.getUint32(4, true), second.descriptors.length]).toEqual([64, 15, 1]);
    const capability = view.getUint32(12, true);
    expect(view.getUint32(capability + 8, true)).toBe(1);
    expect([view.getBigUint64(capability + 16, true), view.getBigUint64(capability + 24, true)]).toEqual([
      0x2000n,
      0x1000n,
    ]);
    for (const fd of [...first.descriptors, ...second.descriptors]) native.close(fd);
  });
});

describe('device time', () => {
  test('a task that a write has made due runs before the next message', async () => {
    const due: string[] = [];
    const { connect, device } = await serving(new FakeDevice(), {
      clock: { runDue: () => due.splice(0).map((task) => device.calls.push(task)).length > 0 },
    });
    const client = await connect();
    device.onWrite = () => due.push('work of the doorbell');
    client.postRegionWrite(0, 0, bytes(1));
    client.postRegionWrite(0, 0, bytes(2));
    await client.regionRead(0, 0, 1);
    expect(device.calls).toEqual([
      'write 0:0x0=01',
      'work of the doorbell',
      'write 0:0x0=02',
      'work of the doorbell',
      'read 0:0x0+1',
    ]);
    await until('the device to be idle', () => due.length === 0);
  });
});
