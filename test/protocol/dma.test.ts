import { describe, expect, onTestFinished, test } from 'vitest';
import {
  closeSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { loadNative } from '../../emulator/native';
import { Command } from '../../emulator/vfio-user/wire';
import { type ClientMemory, words } from '../support/vfio-user-client';
import { FakeDevice } from './fake-device';
import { Errno, errorReply, eventfds, serving, sharedMemory } from './serving';

const MIB = 1 << 20;
const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);
const mappingsOfTests = (): number => readFileSync('/proc/self/maps', 'utf8').split('memfd:protocol test').length - 1;

const readFrom = (fd: number, offset: number): number => {
  const byte = new Uint8Array(1);
  readSync(fd, byte, 0, 1, offset);
  return byte[0]!;
};

describe('memory with a descriptor', () => {
  test('is read and written in place, without a message on the socket (vfio-user DMA_MAP)', async () => {
    const memory = sharedMemory(2 * MIB);
    const { connect, device } = await serving();
    const client = await connect();
    await client.dmaMap({ iova: 0x1_0000_0000n, sizeBytes: BigInt(2 * MIB), fd: memory.fd });
    expect(device.dma.write(0x1_0000_1234, bytes(1, 2, 3)).isDone).toBe(true);
    expect([...memory.bytes.subarray(0x1234, 0x1237)]).toEqual([1, 2, 3]);
    memory.bytes.set([7, 8], 2 * MIB - 2);
    const into = new Uint8Array(2);
    expect(device.dma.read(0x1_0000_0000 + 2 * MIB - 2, into).isDone).toBe(true);
    expect([...into]).toEqual([7, 8]);
    expect(client.dmaRequests).toEqual([]);
  });

  test('is mapped from its offset in the file', async () => {
    const memory = sharedMemory(MIB);
    const { connect, device } = await serving();
    const client = await connect();
    await client.dmaMap({ iova: 0n, sizeBytes: 4096n, fd: memory.fd, offset: 8192n });
    device.dma.write(1, bytes(9));
    expect(memory.bytes[8193]).toBe(9);
  });

  test('is released when it is unmapped with the flag ALL, and a view that the device kept is empty', async () => {
    const memory = sharedMemory(MIB);
    const { connect, device } = await serving();
    const client = await connect();
    const before = mappingsOfTests();
    await client.dmaMap({ iova: 0n, sizeBytes: BigInt(MIB), fd: memory.fd });
    const kept = device.map.find(0)!.bytes!;
    expect(mappingsOfTests()).toBe(before + 1);
    const reply = await client.dmaUnmap(0n, 0n, 2);
    expect(reply.payload.length).toBe(24);
    expect(mappingsOfTests()).toBe(before);
    expect(kept.length).toBe(0);
    expect(() => device.dma.read(0, new Uint8Array(1))).toThrow(expect.objectContaining({ reason: 'unmapped' }));
  });

  test('without write permission is not written by the device', async () => {
    const memory = sharedMemory(4096);
    const { connect, device } = await serving();
    const client = await connect();
    await client.dmaMap({ iova: 0n, sizeBytes: 4096n, fd: memory.fd, writable: false });
    expect(() => device.dma.write(0, bytes(1))).toThrow(expect.objectContaining({ reason: 'not-writable' }));
  });

  test('takes one mapping of this process for all its windows, also when the last is unmapped and one comes again', async () => {
    const memory = sharedMemory(64 * 4096);
    const { connect, device } = await serving();
    const client = await connect();
    const before = mappingsOfTests();
    for (let page = 0; page < 64; page++) {
      const iova = BigInt(((page * 5) % 64) * 8192);
      await client.dmaMap({ iova, sizeBytes: 4096n, fd: memory.fd, offset: BigInt(page * 4096) });
    }
    expect(mappingsOfTests()).toBe(before + 1);
    device.dma.write(((9 * 5) % 64) * 8192 + 1, bytes(7));
    expect(memory.bytes[9 * 4096 + 1]).toBe(7);
    await client.dmaUnmap(8192n, 63n * 8192n);
    expect([device.map.size, mappingsOfTests()]).toEqual([1, before + 1]);
    await client.dmaUnmap(0n, 4096n);
    expect([device.map.size, mappingsOfTests()]).toEqual([0, before + 1]);
    await client.dmaMap({ iova: 0n, sizeBytes: 4096n, fd: memory.fd, offset: 8192n });
    expect(mappingsOfTests()).toBe(before + 1);
    device.dma.write(2, bytes(6));
    expect(memory.bytes[8194]).toBe(6);
  });

  test('of many files without a window is released but for the last 16', async () => {
    const { connect } = await serving();
    const client = await connect();
    const before = mappingsOfTests();
    for (let file = 0; file < 40; file++) {
      await client.dmaMap({ iova: 0n, sizeBytes: 4096n, fd: sharedMemory(4096).fd });
      await client.dmaUnmap(0n, 4096n);
    }
    // Each is mapped a second time, by the test.
    expect(mappingsOfTests()).toBe(before + 40 + 16);
  });

  test('is released with all windows when the client disconnects', async () => {
    const memory = sharedMemory(64 * 4096);
    const { connect, device, disconnected } = await serving();
    const client = await connect();
    const before = mappingsOfTests();
    for (let page = 0n; page < 64n; page++) {
      await client.dmaMap({ iova: page * 8192n, sizeBytes: 4096n, fd: memory.fd, offset: page * 4096n });
    }
    client.close();
    await disconnected();
    expect([device.map.size, mappingsOfTests()]).toEqual([0, before]);
  });

  test('of two files has separate mappings, and so have writable and read-only windows', async () => {
    const [one, other] = [sharedMemory(8192), sharedMemory(8192)];
    const { connect, device } = await serving();
    const client = await connect();
    const before = mappingsOfTests();
    await client.dmaMap({ iova: 0n, sizeBytes: 4096n, fd: one.fd });
    await client.dmaMap({ iova: 4096n, sizeBytes: 4096n, fd: other.fd });
    await client.dmaMap({ iova: 8192n, sizeBytes: 4096n, fd: one.fd, offset: 4096n, writable: false });
    expect(mappingsOfTests()).toBe(before + 3);
    device.dma.write(4094, bytes(1, 2, 3, 4));
    expect([...one.bytes.subarray(4094, 4096), ...other.bytes.subarray(0, 2)]).toEqual([1, 2, 3, 4]);
    one.bytes[4096] = 5;
    const into = new Uint8Array(1);
    device.dma.read(8192, into);
    expect(into[0]).toBe(5);
    const refused = expect.objectContaining({ reason: 'not-writable', faultIova: 8192 });
    expect(() => device.dma.write(8191, bytes(1, 2))).toThrow(refused);
  });

  test('of a file that has grown since is mapped with its new size', async () => {
    const path = join(mkdtempSync(join(tmpdir(), 'ghostcard-dma-')), 'memory');
    onTestFinished(() => rmSync(dirname(path), { recursive: true }));
    writeFileSync(path, Buffer.alloc(4096, 1));
    const fd = openSync(path, 'r+');
    onTestFinished(() => closeSync(fd));
    const { connect, device } = await serving();
    const client = await connect();
    const mappings = (): number => readFileSync('/proc/self/maps', 'utf8').split(path).length - 1;
    await client.dmaMap({ iova: 0n, sizeBytes: 4096n, fd });
    ftruncateSync(fd, 8192);
    await client.dmaMap({ iova: 4096n, sizeBytes: 4096n, fd, offset: 4096n });
    device.dma.write(4095, bytes(8, 9));
    expect([...readFileSync(path).subarray(4095, 4097)]).toEqual([8, 9]);
    expect(mappings()).toBe(2);
    await client.dmaUnmap(0n, 8192n);
    expect(mappings()).toBe(1);
    ftruncateSync(fd, 12_288);
    await client.dmaMap({ iova: 0n, sizeBytes: 4096n, fd, offset: 8192n });
    expect(mappings()).toBe(1);
    device.dma.write(1, bytes(4));
    expect(readFileSync(path)[8193]).toBe(4);
  });

  test('is mapped in up to 65,535 ranges, and one more is refused with ENOSPC (vfio-user DMA_MAP)', async () => {
    const memory = sharedMemory(MIB);
    const { connect, device } = await serving();
    const client = await connect();
    const before = mappingsOfTests();
    const map = (page: bigint) =>
      client.dmaMap({ iova: page * 8192n, sizeBytes: 4096n, fd: memory.fd, offset: (page % 256n) * 4096n });
    for (let page = 0n; page < 65_535n;) {
      const burst = [];
      for (; burst.length < 512 && page < 65_535n; page++) burst.push(map(page));
      await Promise.all(burst);
    }
    await expect(map(65_535n)).rejects.toThrow(errorReply(Errno.ENOSPC));
    expect([device.map.size, mappingsOfTests()]).toEqual([65_535, before + 1]);
    device.dma.write(40_001 * 8192, bytes(3));
    expect(memory.bytes[(40_001 % 256) * 4096]).toBe(3);
    await client.dmaUnmap(8192n, 4096n);
    await map(65_535n);
    await client.dmaUnmap(0n, 0n, 2);
    expect([device.map.size, mappingsOfTests()]).toEqual([0, before]);
  });

  test('longer than one piece is mapped in adjacent pieces, and unmapped as a whole', async () => {
    const memory = sharedMemory(5 * 4096);
    const { connect, device } = await serving(new FakeDevice(), { dmaPieceBytes: 2 * 4096 });
    const client = await connect();
    await client.dmaMap({ iova: 0x10000n, sizeBytes: 5n * 4096n, fd: memory.fd });
    expect(device.map.ranges.map(({ start, end }) => [start, end])).toEqual([
      [0x10000, 0x12000],
      [0x12000, 0x14000],
      [0x14000, 0x15000],
    ]);
    device.dma.write(0x11fff, bytes(1, 2));
    expect([...memory.bytes.subarray(0x1fff, 0x2001)]).toEqual([1, 2]);
    await client.dmaUnmap(0x10000n, 5n * 4096n);
    expect(device.map.size).toBe(0);
  });

  test('of a terabyte is mapped when it is accessed, piece by piece, and its descriptor is closed', async () => {
    const fd = loadNative().memfdCreate('protocol test', 2 ** 40);
    onTestFinished(() => loadNative().close(fd));
    const { connect, device } = await serving();
    const client = await connect();
    const [before, descriptors] = [mappingsOfTests(), readdirSync('/proc/self/fd').length];
    await client.dmaMap({ iova: 1n << 41n, sizeBytes: 1n << 40n, fd });
    expect(mappingsOfTests()).toBe(before);
    for (const offset of [0, 2 ** 39 + 5, 2 ** 40 - 1]) {
      device.dma.write(2 ** 41 + offset, bytes(7));
      expect(readFrom(fd, offset)).toBe(7);
    }
    expect(mappingsOfTests()).toBe(before + 3);
    await client.dmaUnmap(1n << 41n, 1n << 40n);
    expect(device.map.size).toBe(0);
    await client.dmaUnmap(0n, 0n, 2);
    expect([mappingsOfTests(), readdirSync('/proc/self/fd').length]).toEqual([before, descriptors]);
  });

  test('longer than one piece is one range, which cannot be unmapped at the border of a piece', async () => {
    const memory = sharedMemory(5 * 4096);
    const { connect, device } = await serving(new FakeDevice(), { dmaPieceBytes: 2 * 4096 });
    const client = await connect();
    await client.dmaMap({ iova: 0x10000n, sizeBytes: 5n * 4096n, fd: memory.fd });
    const invalid = errorReply(Errno.EINVAL);
    await expect(client.dmaUnmap(0x10000n, 2n * 4096n)).rejects.toThrow(invalid);
    await expect(client.dmaUnmap(0x12000n, 3n * 4096n)).rejects.toThrow(invalid);
    await expect(client.dmaUnmap(0x12000n, 2n * 4096n)).rejects.toThrow(invalid);
    expect(device.map.size).toBe(3);
    await client.dmaUnmap(0x10000n, 5n * 4096n);
    await client.dmaMap({ iova: 0x12000n, sizeBytes: 4096n, fd: memory.fd });
    await client.dmaUnmap(0x12000n, 4096n);
    expect(device.map.size).toBe(0);
  });

  test('in more pieces than a client may have mappings is refused with ENOSPC, and no part is mapped', async () => {
    const memory = sharedMemory(65_537 * 4096);
    const { connect, device } = await serving(new FakeDevice(), { dmaPieceBytes: 4096 });
    const client = await connect();
    const before = mappingsOfTests();
    const mapping = client.dmaMap({ iova: 0n, sizeBytes: 65_537n * 4096n, fd: memory.fd });
    await expect(mapping).rejects.toThrow(errorReply(Errno.ENOSPC));
    expect([device.map.size, mappingsOfTests()]).toEqual([0, before]);
  });

  test('that overlaps a mapping is refused with EEXIST, and the mapping stays (VFIO IOMMU_MAP_DMA)', async () => {
    const memory = sharedMemory(5 * 4096);
    const { connect, device } = await serving(new FakeDevice(), { dmaPieceBytes: 4096 });
    const client = await connect();
    await client.dmaMap({ iova: 0x13000n, sizeBytes: 4096n, fd: memory.fd });
    const overlapping = client.dmaMap({ iova: 0x10000n, sizeBytes: 5n * 4096n, fd: memory.fd });
    await expect(overlapping).rejects.toThrow(errorReply(Errno.EEXIST));
    expect(device.map.ranges.map(({ start }) => start)).toEqual([0x13000]);
  });

  test('beyond the end of the file, or of what is not a file, is refused', async () => {
    const memory = sharedMemory(4096);
    const [counter] = eventfds(1) as [number];
    const { connect } = await serving();
    const client = await connect();
    await expect(client.dmaMap({ iova: 0n, sizeBytes: 8192n, fd: memory.fd })).rejects.toThrow(
      errorReply(Errno.EINVAL),
    );
    const farOut = client.dmaMap({ iova: 0n, sizeBytes: 4096n, fd: memory.fd, offset: 1n << 63n });
    await expect(farOut).rejects.toThrow(errorReply(Errno.EINVAL));
    await expect(client.dmaMap({ iova: 0n, sizeBytes: 4096n, fd: counter })).rejects.toThrow(errorReply(Errno.ENODEV));
    await client.dmaMap({ iova: 0n, sizeBytes: 4096n, fd: memory.fd });
  });

  test('with two descriptors is refused, and both are closed', async () => {
    const memory = sharedMemory(4096);
    const { connect } = await serving();
    const client = await connect();
    const payload = Buffer.concat([words(32, 3, 0, 0, 0, 0, 4096, 0)]);
    const request = client.request(Command.DMA_MAP, payload, [memory.fd, memory.fd]);
    await expect(request).rejects.toThrow(errorReply(Errno.EINVAL));
  });
});

describe('unmapping', () => {
  test('a range without mappings succeeds', async () => {
    const client = await (await serving()).connect();
    await client.dmaUnmap(0n, 1n << 48n);
    await client.dmaUnmap(0xffff_ffff_ffff_f000n, 4096n);
  });

  test('removes any number of whole mappings, and others stay (VFIO IOMMU_UNMAP_DMA, vfio-user DMA_UNMAP)', async () => {
    const { connect, device } = await serving();
    const client = await connect();
    for (const iova of [0n, 8192n, 12_288n, 65_536n]) await client.dmaMap({ iova, sizeBytes: 4096n });
    await client.dmaUnmap(4096n, 32_768n);
    expect(device.map.ranges.map(({ start }) => start)).toEqual([0, 65_536]);
  });

  test('a range that ends inside a mapping is refused, and the whole mappings in it stay (VFIO IOMMU_UNMAP_DMA)', async () => {
    const { connect, device } = await serving();
    const client = await connect();
    await client.dmaMap({ iova: 0n, sizeBytes: 4096n });
    await client.dmaMap({ iova: 4096n, sizeBytes: 8192n });
    await expect(client.dmaUnmap(0n, 8192n)).rejects.toThrow(errorReply(Errno.EINVAL));
    expect(device.map.size).toBe(2);
  });

  test('a part of a mapping is refused', async () => {
    const { connect, device } = await serving();
    const client = await connect();
    await client.dmaMap({ iova: 0n, sizeBytes: 8192n });
    await expect(client.dmaUnmap(0n, 4096n)).rejects.toThrow(errorReply(Errno.EINVAL));
    expect(device.map.size).toBe(1);
  });

  test('with the flag ALL removes everything, and only with address and size 0 (vfio-user DMA_UNMAP)', async () => {
    const { connect, device } = await serving();
    const client = await connect();
    await client.dmaMap({ iova: 0n, sizeBytes: 4096n });
    await client.dmaMap({ iova: 1n << 40n, sizeBytes: 4096n });
    await expect(client.dmaUnmap(0n, 4096n, 2)).rejects.toThrow(errorReply(Errno.EINVAL));
    await client.dmaUnmap(0n, 0n, 2);
    expect(device.map.size).toBe(0);
  });

  test('with dirty pages, unknown flags or no range is refused', async () => {
    const client = await (await serving()).connect();
    await expect(client.dmaUnmap(0n, 4096n, 1)).rejects.toThrow(errorReply(Errno.EOPNOTSUPP));
    await expect(client.dmaUnmap(0n, 4096n, 4)).rejects.toThrow(errorReply(Errno.EINVAL));
    await expect(client.dmaUnmap(0n, 0n)).rejects.toThrow(errorReply(Errno.EINVAL));
    await expect(client.dmaUnmap(4096n, 0xffff_ffff_ffff_ffffn)).rejects.toThrow(errorReply(Errno.EINVAL));
  });

  test('and mapping again many times leaves one mapping of this process, and none when the client disconnects', async () => {
    const memory = sharedMemory(MIB);
    const { connect, disconnected } = await serving();
    const client = await connect();
    const before = mappingsOfTests();
    for (let i = 0; i < 200; i++) {
      await client.dmaMap({ iova: 0n, sizeBytes: BigInt(MIB), fd: memory.fd });
      await client.dmaUnmap(0n, BigInt(MIB));
    }
    expect(mappingsOfTests()).toBe(before + 1);
    client.close();
    await disconnected();
    expect(mappingsOfTests()).toBe(before);
  });
});

describe('memory without a descriptor', () => {
  const clientMemory = (): ClientMemory & { bytes: Uint8Array } => {
    const own = new Uint8Array(4 * MIB);
    return {
      bytes: own,
      read: (iova, sizeBytes) => own.slice(Number(iova), Number(iova) + sizeBytes),
      write: (iova, data) => (own.set(data, Number(iova)), 0),
    };
  };

  test('is read and written by messages (vfio-user DMA_READ, vfio-user DMA_WRITE)', async () => {
    const memory = clientMemory();
    const { connect, device } = await serving();
    const client = await connect({ memory });
    await client.dmaMap({ iova: 0n, sizeBytes: BigInt(4 * MIB) });
    await device.dma.write(0x1000, bytes(1, 2, 3)).promise();
    expect([...memory.bytes.subarray(0x1000, 0x1003)]).toEqual([1, 2, 3]);
    const into = new Uint8Array(3);
    await device.dma.read(0x1001, into).promise();
    expect([...into]).toEqual([2, 3, 0]);
  });

  test('is moved in pieces of the size that the client accepts (vfio-user DMA_READ, vfio-user DMA_WRITE)', async () => {
    const memory = clientMemory();
    const { connectRaw, device } = await serving();
    const client = connectRaw({ memory });
    await client.negotiate({ maxTransferBytes: 4096 });
    await client.dmaMap({ iova: 0n, sizeBytes: BigInt(4 * MIB) });
    const data = new Uint8Array(10_000).map((_, i) => i % 253);
    await device.dma.write(5, data).promise();
    const into = new Uint8Array(10_000);
    await device.dma.read(5, into).promise();
    expect(into).toEqual(data);
    expect(client.dmaRequests.map(({ sizeBytes }) => sizeBytes)).toEqual([4096, 4096, 1808, 4096, 4096, 1808]);
  });

  test('is moved in pieces of a megabyte at most, and several at a time do not interfere', async () => {
    const memory = clientMemory();
    const { connect, device } = await serving();
    const client = await connect({ memory });
    await client.dmaMap({ iova: 0n, sizeBytes: BigInt(4 * MIB) });
    const data = new Uint8Array(1.5 * MIB).map((_, i) => i % 255);
    await Promise.all([0, 2 * MIB].map((iova) => device.dma.write(iova, data).promise()));
    expect(Buffer.compare(memory.bytes.subarray(0, data.length), data)).toBe(0);
    expect(Buffer.compare(memory.bytes.subarray(2 * MIB, 2 * MIB + data.length), data)).toBe(0);
    expect(Math.max(...client.dmaRequests.map(({ sizeBytes }) => sizeBytes))).toBe(MIB);
  });

  test('an error of the client fails only the access', async () => {
    const { connect, device } = await serving();
    const client = await connect({ memory: { read: () => Errno.ENODEV, write: () => Errno.ENODEV } });
    await client.dmaMap({ iova: 0n, sizeBytes: 4096n });
    const refused = expect.objectContaining({ name: 'DmaError', reason: 'client-error' });
    await expect(device.dma.read(0, new Uint8Array(4)).promise()).rejects.toThrow(refused);
    await expect(device.dma.write(0, new Uint8Array(4)).promise()).rejects.toThrow(refused);
    await client.regionRead(0, 0, 4);
  });

  test('a client that does not answer fails the access after the time limit', async () => {
    const { connect, device } = await serving(new FakeDevice(), { dmaTimeoutMs: 5 });
    const client = await connect();
    await client.dmaMap({ iova: 0n, sizeBytes: 4096n });
    await expect(device.dma.read(0, new Uint8Array(4)).promise()).rejects.toThrow('no reply within 5 ms');
    await client.regionRead(0, 0, 4);
  });

  test('a client that disconnects fails the access', async () => {
    const { connect, device } = await serving();
    const client = await connect();
    await client.dmaMap({ iova: 0n, sizeBytes: 4096n });
    const reading = device.dma.read(0, new Uint8Array(4)).promise();
    client.close();
    await expect(reading).rejects.toThrow('the client disconnected');
  });

  test('requests of the client are served while a DMA message is pending', async () => {
    const { connect, device } = await serving();
    const client = await connect();
    await client.dmaMap({ iova: 0n, sizeBytes: 4096n });
    const into = new Uint8Array(4);
    const reading = device.dma.read(0, into).promise();
    await client.regionRead(0, 0, 4);
    const { id } = client.dmaRequests[0]!;
    const reply = Buffer.concat([words(0, 0, 4, 0), bytes(1, 2, 3, 4)]);
    client.sendMessage({ id, command: Command.DMA_READ, flags: 1, payload: reply });
    await reading;
    expect([...into]).toEqual([1, 2, 3, 4]);
  });

  test('a reply without a request ends the connection', async () => {
    const { connect, events, disconnected } = await serving();
    const client = await connect();
    client.sendMessage({ id: 77, command: Command.DMA_READ, flags: 1, payload: new Uint8Array(20) });
    await disconnected();
    expect(events.at(-1)).toEqual({ kind: 'disconnected', reason: 'the client sent a reply that matches no request' });
  });
});
