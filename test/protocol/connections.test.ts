import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type Native } from '../../emulator/native';
import { serve } from '../../emulator/vfio-user';
import { Command } from '../../emulator/vfio-user/wire';
import { words } from '../support/vfio-user-client';
import { FakeDevice } from './fake-device';
import { Errno, errorReply, eventfds, native, openDescriptors, serving, sharedMemory, until } from './serving';

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

describe('a client that disconnects', () => {
  test('loses its mappings and interrupts, and the device is reset for the next one (vfio-user disconnect)', async () => {
    const memory = sharedMemory(4096);
    const [counter] = eventfds(1) as [number];
    const { connect, device, disconnected, server } = await serving();
    const client = await connect();
    await client.dmaMap({ iova: 0n, sizeBytes: 4096n, fd: memory.fd });
    await client.setIrqs(0, 0, 1, 'trigger', { kind: 'eventfd', descriptors: [counter] });
    expect(server.connected).toBe(true);
    client.close();
    await disconnected();
    expect(server.connected).toBe(false);
    expect([device.map.size, device.resets]).toEqual([0, 1]);
    await (await connect()).regionRead(0, 0, 4);
  });

  test('in the middle of a message with descriptors, twenty times, leaves nothing behind: the 21st is served', async () => {
    const { connect, connectRaw, disconnected } = await serving();
    const memory = sharedMemory(4096);
    const before = openDescriptors();
    for (let i = 0; i < 20; i++) {
      const client = i % 2 === 0 ? connectRaw() : await connect();
      const half = new Uint8Array(8 + i);
      half.set([i, 0, Command.DMA_MAP, 0, 48, 0, 0, 0]);
      client.sendRaw(half, i % 3 === 0 ? [memory.fd] : []);
      client.close();
      await disconnected(i + 1);
    }
    expect(openDescriptors()).toEqual(before);
    await (await connect()).regionRead(0, 0, 4);
  });

  test('before its first message is followed by the next client', async () => {
    const { connect, connectRaw } = await serving();
    connectRaw().close();
    await (await connect()).reset();
  });

  test('while replies wait for it is noticed', async () => {
    const { connectRaw, connect, disconnected } = await serving(new FakeDevice(undefined, { regionBytes: 1 << 20 }));
    const client = connectRaw();
    await client.negotiate();
    const reads = Array.from({ length: 8 }, () => client.regionRead(0, 0, 1 << 20).catch(() => undefined));
    client.close();
    await Promise.all(reads);
    await disconnected();
    await (await connect()).reset();
  });
});

describe('a client that does not read its replies', () => {
  test('is not served until it does, and then receives all of them in order', async () => {
    const { connect, device } = await serving(new FakeDevice(undefined, { regionBytes: 1 << 20 }));
    const client = await connect();
    const seen: number[] = [];
    device.onRead = (_region, offset, data) => data.fill(offset);
    const reads = Array.from({ length: 12 }, async (_, i) => {
      const data = await client.regionRead(0, i, (1 << 20) - 16);
      seen.push(data[0]!, data.at(-1)!);
    });
    await Promise.all(reads);
    expect(seen).toEqual(Array.from({ length: 12 }, (_, i) => [i, i]).flat());
  });
});

describe('a second client', () => {
  test('waits in the backlog while the first is connected, and is served afterwards', async () => {
    const { connect, connectRaw } = await serving();
    const first = await connect();
    const second = connectRaw();
    let served = false;
    const negotiated = second.negotiate().then(() => (served = true));
    for (let i = 0; i < 20; i++) await first.regionRead(0, 0, 4);
    expect(served).toBe(false);
    first.close();
    await negotiated;
    await second.regionRead(0, 0, 4);
  });
});

describe('malformed messages', () => {
  test.each([
    ['a size below that of a header', { command: 4, sizeBytes: 8 }],
    ['a message type that does not exist', { command: 4, flags: 2 }],
  ])('%s is answered with an error and ends the connection; the next client is served', async (_, header) => {
    const { connect, events, disconnected } = await serving();
    const client = await connect();
    client.sendMessage({ id: 9, ...header });
    await client.closed;
    await disconnected();
    expect(events.map(({ kind }) => kind)).toEqual(['connected', 'refused', 'disconnected']);
    await (await connect()).reset();
  });

  test('payloads of every wrong length are refused, and the connection goes on', async () => {
    const { connect, device } = await serving();
    const client = await connect();
    const shortest = new Map<number, number>([
      [Command.DMA_MAP, 32],
      [Command.DMA_UNMAP, 24],
      [Command.DEVICE_GET_INFO, 12],
      [Command.DEVICE_GET_REGION_INFO, 12],
      [Command.DEVICE_GET_REGION_IO_FDS, 12],
      [Command.DEVICE_GET_IRQ_INFO, 12],
      [Command.DEVICE_SET_IRQS, 20],
      [Command.REGION_READ, 16],
      [Command.REGION_WRITE, 16],
      [Command.REGION_WRITE_MULTI, 8],
    ]);
    for (const [command, needed] of shortest) {
      for (let length = 0; length < needed; length++) {
        const request = client.request(command, new Uint8Array(length).fill(1));
        await expect(request).rejects.toThrow(errorReply(Errno.EINVAL));
      }
    }
    expect(device.calls).toEqual([]);
    await client.reset();
  });

  test('arbitrary messages, with arbitrary descriptors, never end the server', async () => {
    const { connect, connectRaw, disconnected } = await serving();
    // A fixed pseudo-random sequence (xorshift), so that a failure can be repeated.
    let state = 0x2545f491;
    const chance = (below: number): number => {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      return (state >>> 0) % below;
    };
    const memory = sharedMemory(4096);
    const [counter] = eventfds(1) as [number];
    for (let round = 0; round < 40; round++) {
      const client = round % 4 === 0 ? connectRaw() : await connect();
      for (let i = 0; i < 25; i++) {
        const payload = Uint8Array.from({ length: chance(64) }, () => (chance(3) === 0 ? chance(256) : chance(4)));
        const descriptors = Array.from({ length: chance(4) }, () => (chance(2) === 0 ? memory.fd : counter));
        try {
          client.sendMessage({ command: chance(20), flags: chance(2) * 0x10, payload, descriptors });
        } catch {
          break; // the server has ended this connection
        }
      }
      client.close();
      await disconnected(round + 1);
    }
    await (await connect()).regionRead(0, 0, 4);
  });
});

describe('the socket', () => {
  test('lets in its own user and root only, whatever the mode of the socket is', async () => {
    let peer = 4711;
    const wrapped = Object.assign(Object.create(native) as Native, { peerUser: () => peer });
    const { connectRaw, connect, events, device } = await serving(new FakeDevice(), { native: wrapped });
    const stranger = connectRaw();
    await expect(stranger.negotiate()).rejects.toThrow();
    expect(events).toEqual([
      {
        kind: 'server-error',
        error: expect.objectContaining({ message: expect.stringMatching(/^refused a client of user 4711 at/) }),
      },
    ]);
    expect(device.resets).toBe(0);
    peer = 0;
    await connect();
  });

  test('exists as long as the server runs', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'ghostcard-protocol-'));
    const socketPath = join(folder, 'card');
    const server = await serve(new FakeDevice(), { socketPath });
    expect(existsSync(socketPath)).toBe(true);
    await server.close();
    await server.close();
    expect(existsSync(socketPath)).toBe(false);
    rmSync(folder, { recursive: true });
  });

  test('of a running server is not taken over', async () => {
    const { socketPath, connect } = await serving();
    await expect(serve(new FakeDevice(), { socketPath })).rejects.toThrow('another server is listening there');
    await (await connect()).reset();
  });

  test('of a dead server is replaced', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'ghostcard-protocol-'));
    const socketPath = join(folder, 'card');
    const script = `require('net').createServer().listen(${JSON.stringify(socketPath)}, () => process.kill(process.pid, 'SIGKILL'))`;
    spawnSync(process.execPath, ['-e', script], { timeout: 10_000 });
    expect(existsSync(socketPath)).toBe(true);
    await using server = await serve(new FakeDevice(), { socketPath });
    expect(server.connected).toBe(false);
    rmSync(folder, { recursive: true });
  });

  describe('of somebody else', () => {
    /** As a user without rights in other users' files; whoever runs this without root's is one already. */
    async function attempt(socketPath: string): Promise<string> {
      const isRoot = process.geteuid!() === 0;
      if (isRoot) process.seteuid!('nobody');
      try {
        await serve(new FakeDevice(), { socketPath });
        return 'served';
      } catch (error) {
        return (error as Error).message;
      } finally {
        if (isRoot) process.seteuid!(0);
      }
    }

    test.each([
      ['cannot be told from a running server, and stays', 0o000, /: a socket of another user \(uid \d+\) exists there/],
      ['that runs and lets others connect is not taken over', 0o666, /: another server is listening there/],
    ])('%s', async (_, mode, message) => {
      const folder = mkdtempSync(join(tmpdir(), 'ghostcard-protocol-'));
      const socketPath = join(folder, 'card');
      const server = createServer().listen(socketPath);
      await once(server, 'listening');
      chmodSync(folder, 0o1777);
      chmodSync(socketPath, mode);
      expect(await attempt(socketPath)).toMatch(message);
      expect(existsSync(socketPath)).toBe(true);
      server.close();
      rmSync(folder, { recursive: true });
    });

    test.each([
      ['card', /^Cannot serve at \S+card: this user cannot make files in that folder \(EACCES\); choose another one$/],
      ['none/card', /^Cannot serve at \S+card: there is no folder \S+none; make it, or choose another path$/],
    ])('in a folder that cannot be used (%s): the error says what to do', async (name, message) => {
      const folder = mkdtempSync(join(tmpdir(), 'ghostcard-protocol-'));
      chmodSync(folder, 0o555);
      expect(await attempt(join(folder, name))).toMatch(message);
      chmodSync(folder, 0o700);
      rmSync(folder, { recursive: true });
    });
  });

  test('does not replace a file that is not a socket', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'ghostcard-protocol-'));
    writeFileSync(join(folder, 'notes'), 'precious');
    await expect(serve(new FakeDevice(), { socketPath: join(folder, 'notes') })).rejects.toThrow(
      'a file that is not a socket exists there',
    );
    rmSync(folder, { recursive: true });
  });
});

describe('waiting', () => {
  /** The native part, counting how often the server asks for messages. */
  function counting(): { native: Native; asked: () => number } {
    let receives = 0;
    const counted: Native = Object.assign(Object.create(native) as Native, {
      receive: (...call: Parameters<Native['receive']>) => (receives++, native.receive(...call)),
    });
    return { native: counted, asked: () => receives };
  }

  test('an idle device uses no processor time', async () => {
    const { native: counted, asked } = counting();
    const { connect } = await serving(new FakeDevice(), { native: counted });
    const client = await connect();
    await client.regionRead(0, 0, 4);
    // The spin after the last message is over when the event loop has gone round without a call.
    let before = -1;
    await until('the server to go to sleep', () => {
      const still = asked() === before;
      before = asked();
      return still;
    });
    for (let turn = 0; turn < 500; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(asked()).toBe(before);
  });

  test('timers and other work run while one client sends without a pause', async () => {
    const { connect } = await serving();
    const client = await connect();
    let running = true;
    let messages = 0;
    const traffic = (async () => {
      while (running) {
        for (let i = 0; i < 100; i++) client.postRegionWrite(0, 0, bytes(i));
        await client.regionRead(0, 0, 1);
        messages += 101;
      }
    })();
    let ticks = 0;
    await new Promise<void>((resolve) => {
      const timer = setInterval(() => {
        if (++ticks < 20) return;
        clearInterval(timer);
        resolve();
      }, 1);
    });
    running = false;
    await traffic;
    expect(messages).toBeGreaterThan(0);
  });

  test('two cards of one process are served at the same time', async () => {
    const one = await serving();
    const other = await serving();
    const clients = await Promise.all([one.connect(), other.connect()]);
    for (let i = 0; i < 50; i++) {
      for (const client of clients) await client.regionWrite(0, 0, bytes(i));
    }
    expect([one.device.regions[0]![0], other.device.regions[0]![0]]).toEqual([49, 49]);
  });

  test('a message in two parts, cut anywhere, is served when the second part arrives', async () => {
    const { connect, device } = await serving();
    const client = await connect();
    const message = Buffer.concat([
      words((Command.REGION_WRITE << 16) | 5, 36, 0x10, 0),
      words(8, 0, 0, 4),
      bytes(1, 2, 3, 4),
    ]);
    for (let cut = 1; cut < message.length; cut++) {
      client.sendRaw(message.subarray(0, cut));
      await new Promise((resolve) => setImmediate(resolve));
      client.sendRaw(message.subarray(cut));
      await client.regionRead(0, 8, 4);
    }
    expect(device.calls.filter((call) => call === 'write 0:0x8=01020304')).toHaveLength(message.length - 1);
  });
});
