import { describe, expect, test } from 'vitest';
import { Command } from '../../emulator/vfio-user/wire';
import { words } from '../support/vfio-user-client';
import { FakeDevice } from './fake-device';
import { Errno, errorReply, serving } from './serving';

describe('VERSION', () => {
  test('is answered with version 0.0 and the limits of the server (vfio-user VERSION)', async () => {
    const { connectRaw } = await serving();
    expect(await connectRaw().negotiate()).toEqual({
      major: 0,
      minor: 0,
      capabilities: {
        maxMessageDescriptors: 8,
        maxTransferBytes: 1048576,
        maxDmaMaps: 65535,
        pageSizes: 4096,
        writeMultiple: true,
      },
    });
  });

  test('without version data is accepted', async () => {
    const { connectRaw } = await serving();
    const client = connectRaw();
    await client.request(Command.VERSION, words(0));
    await client.reset();
  });

  test('of another major version is refused and ends the connection', async () => {
    const { connectRaw, disconnected } = await serving();
    const client = connectRaw();
    await expect(client.request(Command.VERSION, words(1))).rejects.toThrow(errorReply(Errno.EPROTO));
    await client.closed;
    await disconnected();
  });

  test('with version data that is not JSON is refused and ends the connection', async () => {
    const { connectRaw } = await serving();
    const client = connectRaw();
    const payload = Buffer.concat([words(0), Buffer.from('{"capabilities"\0')]);
    await expect(client.request(Command.VERSION, payload)).rejects.toThrow(errorReply(Errno.EINVAL));
    await client.closed;
  });

  test('must come first: any other command is refused and ends the connection (vfio-user VERSION)', async () => {
    const { connectRaw, device } = await serving();
    const client = connectRaw();
    await expect(client.regionRead(0, 0, 4)).rejects.toThrow(errorReply(Errno.EINVAL));
    await client.closed;
    expect(device.calls).not.toContain('read 0:0x0+4');
  });

  test('comes only once; a second one is refused and the connection goes on (vfio-user VERSION)', async () => {
    const { connect } = await serving();
    const client = await connect();
    await expect(client.negotiate()).rejects.toThrow(errorReply(Errno.EINVAL));
    await client.reset();
  });
});

describe('commands that are not offered', () => {
  test.each([
    ['DIRTY_PAGES', 14, Errno.EOPNOTSUPP],
    ['DEVICE_FEATURE', 16, Errno.ENOTTY],
    ['MIG_DATA_READ', 17, Errno.EOPNOTSUPP],
    ['MIG_DATA_WRITE', 18, Errno.EOPNOTSUPP],
    ['DMA_READ (which only the server sends)', 11, Errno.EINVAL],
    ['a command that does not exist', 4711, Errno.ENOSYS],
    ['command 0', 0, Errno.ENOSYS],
  ])('%s is refused with the right error, and the connection goes on', async (_, command, errno) => {
    const { connect, device } = await serving();
    const client = await connect();
    await expect(client.request(command, words(16, 0, 0, 0))).rejects.toThrow(errorReply(errno));
    await client.reset();
    expect(device.resets).toBe(1);
  });
});

describe('DEVICE_RESET', () => {
  test('of a device that cannot be reset is refused (vfio-user DEVICE_RESET)', async () => {
    const { connect, device } = await serving(new FakeDevice(undefined, { resettable: false }));
    const client = await connect();
    expect((await client.deviceInfo()).flags).toBe(2);
    await expect(client.reset()).rejects.toThrow(errorReply(Errno.EOPNOTSUPP));
    expect(device.resets).toBe(0);
  });
});
