import { writeSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { Command } from '../../emulator/vfio-user/wire';
import { words } from '../support/vfio-user-client';
import { Errno, errorReply, eventfds, native, serving, sharedMemory } from './serving';

test('an interrupt index has a number of vectors, and flags for what can be done to them (VFIO DEVICE_GET_IRQ_INFO)', async () => {
  const client = await (await serving()).connect();
  expect(await client.irqInfo(0)).toEqual({ flags: 7, count: 1 });
  expect(await client.irqInfo(1)).toEqual({ flags: 1, count: 8 });
  expect(await client.irqInfo(2)).toEqual({ flags: 3, count: 64 });
  expect(await client.irqInfo(4)).toEqual({ flags: 9, count: 0 });
});

describe('eventfds', () => {
  test('receive what the device triggers (VFIO DEVICE_SET_IRQS)', async () => {
    const { connect, device } = await serving();
    const client = await connect();
    const fds = eventfds(2);
    await client.setIrqs(2, 3, 2, 'trigger', { kind: 'eventfd', descriptors: fds });
    device.sinks[2]![3]!.trigger();
    device.sinks[2]![4]!.trigger();
    device.sinks[2]![4]!.trigger();
    expect(fds.map((fd) => native.eventfdRead(fd))).toEqual([1, 2]);
  });

  test('may be disconnected again, one vector or the whole index (VFIO DEVICE_SET_IRQS)', async () => {
    const { connect, device } = await serving();
    const client = await connect();
    const fds = eventfds(4);
    await client.setIrqs(2, 0, 4, 'trigger', { kind: 'eventfd', descriptors: fds });
    await client.setIrqs(2, 1, 1, 'trigger', { kind: 'eventfd', descriptors: [] });
    expect(device.sinks[2]!.map((sink) => sink !== undefined)).toEqual([true, false, true, true]);
    await client.setIrqs(2, 0, 0, 'trigger');
    expect(device.sinks[2]).toEqual([]);
  });

  test('come eight in a message, as QEMU sends them, until all 64 vectors are connected', async () => {
    const { connect, device } = await serving();
    const client = await connect();
    const fds = eventfds(64);
    await client.setIrqs(2, 0, 1, 'trigger', { kind: 'eventfd', descriptors: [] });
    for (let start = 0; start < 64; start += 8) {
      await client.setIrqs(2, start, 8, 'trigger', { kind: 'eventfd', descriptors: fds.slice(start, start + 8) });
    }
    for (const sink of device.sinks[2]!) sink!.trigger();
    expect(fds.map((fd) => native.eventfdRead(fd))).toEqual(fds.map(() => 1));
  });

  test('that are full do not block the device', async () => {
    const { connect, device } = await serving();
    const client = await connect();
    const [fd] = eventfds(1);
    await client.setIrqs(0, 0, 1, 'trigger', { kind: 'eventfd', descriptors: [fd!] });
    writeSync(fd!, Buffer.from('feffffffffffffff', 'hex'));
    device.sinks[0]![0]!.trigger();
    expect(native.eventfdRead(fd!)).toBe(2 ** 64);
  });

  test.each([
    ['another number than vectors', 2, 3, 'trigger', 2],
    ['too few', 2, 2, 'trigger', 1],
  ] as const)('in %s are refused and closed', async (_, index, count, action, number) => {
    const { connect, device } = await serving();
    const client = await connect();
    const fds = eventfds(number);
    const request = client.setIrqs(index, 0, count, action, { kind: 'eventfd', descriptors: fds });
    await expect(request).rejects.toThrow(errorReply(Errno.EINVAL));
    expect(device.requests).toEqual([]);
  });

  test('in name only (a file) are refused', async () => {
    const memory = sharedMemory(4096);
    const client = await (await serving()).connect();
    const request = client.setIrqs(0, 0, 1, 'trigger', { kind: 'eventfd', descriptors: [memory.fd] });
    await expect(request).rejects.toThrow(errorReply(Errno.EINVAL));
  });

  test('for mask or unmask are not supported', async () => {
    const client = await (await serving()).connect();
    const fds = eventfds(1);
    const request = client.setIrqs(0, 0, 1, 'unmask', { kind: 'eventfd', descriptors: fds });
    await expect(request).rejects.toThrow(errorReply(Errno.EOPNOTSUPP));
  });

  test('in a command that takes none are closed, and the command is done', async () => {
    const client = await (await serving()).connect();
    const fds = eventfds(3);
    await client.request(Command.DEVICE_GET_INFO, words(16, 0, 0, 0), fds);
    await expect(client.request(Command.DEVICE_SET_IRQS, words(20, 0x21, 0, 0, 1), fds)).rejects.toThrow(
      errorReply(Errno.EINVAL),
    );
  });
});

describe('the client', () => {
  test.each(['trigger', 'mask', 'unmask'] as const)(
    'can %s a range of vectors, or a part of it (VFIO DEVICE_SET_IRQS)',
    async (action) => {
      const { connect, device } = await serving();
      const client = await connect();
      await client.setIrqs(2, 5, 3, action);
      await client.setIrqs(2, 5, 3, action, { kind: 'bool', vectors: [true, false, true] });
      expect(device.requests).toEqual([
        { index: 2, start: 5, count: 3, action: { kind: action } },
        { index: 2, start: 5, count: 3, action: { kind: action, vectors: [true, false, true] } },
      ]);
    },
  );

  test('cannot mask an index without masks, nor vectors that do not exist', async () => {
    const client = await (await serving()).connect();
    await expect(client.setIrqs(1, 0, 1, 'mask')).rejects.toThrow(errorReply(Errno.EINVAL));
    await expect(client.setIrqs(1, 7, 2, 'trigger')).rejects.toThrow(errorReply(Errno.EINVAL));
    await expect(client.setIrqs(9, 0, 1, 'trigger')).rejects.toThrow(errorReply(Errno.EINVAL));
  });

  test('that disconnects leaves no vector connected (vfio-user disconnect)', async () => {
    const { connect, device, disconnected } = await serving();
    const client = await connect();
    const fds = eventfds(3);
    await client.setIrqs(0, 0, 1, 'trigger', { kind: 'eventfd', descriptors: fds.slice(0, 1) });
    await client.setIrqs(2, 0, 2, 'trigger', { kind: 'eventfd', descriptors: fds.slice(1) });
    client.close();
    await disconnected();
    expect(device.sinks.every((sinks) => sinks.length === 0)).toBe(true);
  });
});
