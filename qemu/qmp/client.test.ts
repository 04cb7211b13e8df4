import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createConnection, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { QmpClient, QmpCommandError, QmpConnectionError, QmpTimeoutError } from './index';

const GREETING = '{"QMP": {"version": {"qemu": {"micro": 3, "minor": 1, "major": 11}}, "capabilities": ["oob"]}}\r\n';

interface Received {
  readonly execute: string;
  readonly arguments?: unknown;
  readonly id: number;
}

/** QEMU's end of a UNIX socket, played by the test. */
class FakeQemu {
  readonly received: Received[] = [];
  onCommand: (command: Received) => void = (command) => this.reply(command, {});

  constructor(readonly socket: Socket) {
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      const lines = text.split('\n');
      text = lines.pop() ?? '';
      for (const line of lines) {
        const command = JSON.parse(line) as Received;
        this.received.push(command);
        if (command.execute === 'qmp_capabilities') this.reply(command, {});
        else this.onCommand(command);
      }
    });
  }

  reply(command: Received, result: unknown): void {
    this.send({ return: result, id: command.id });
  }

  send(message: unknown): void {
    this.socket.write(`${JSON.stringify(message)}\r\n`);
  }
}

let folder: string;
let cleanUps: (() => void)[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'qmp-'));
});
afterEach(async () => {
  for (const cleanUp of cleanUps) cleanUp();
  cleanUps = [];
  await rm(folder, { recursive: true });
});

async function socketPair(): Promise<[Socket, Socket]> {
  const server = createServer().listen(join(folder, 'qmp.sock'));
  await once(server, 'listening');
  const near = createConnection(join(folder, 'qmp.sock'));
  const [far] = (await once(server, 'connection')) as [Socket];
  server.close();
  cleanUps.push(
    () => near.destroy(),
    () => far.destroy(),
  );
  return [near, far];
}

async function connected(): Promise<{ qemu: FakeQemu; client: QmpClient }> {
  const [near, far] = await socketPair();
  const qemu = new FakeQemu(far);
  far.write(GREETING);
  const client = await QmpClient.connect(near);
  return { qemu, client };
}

describe('QMP connection', () => {
  it('waits for the greeting, negotiates capabilities and returns the version', async () => {
    const { qemu, client } = await connected();
    expect(client.version).toBe('11.1.3');
    expect(qemu.received.map(({ execute }) => execute)).toEqual(['qmp_capabilities']);
  });

  it('reports events that arrive before the client is returned', async () => {
    const [near, far] = await socketPair();
    const seen: string[] = [];
    far.once('data', () => far.write('{"return": {}, "id": 1}\r\n{"event": "SHUTDOWN"}\r\n'));
    far.write(GREETING);
    await QmpClient.connect(near, { onEvent: ({ event }) => seen.push(event) });
    expect(seen).toEqual(['SHUTDOWN']);
  });

  it('rejects when no greeting arrives within the time limit', async () => {
    const [near] = await socketPair();
    await expect(QmpClient.connect(near, { timeoutMs: 20 })).rejects.toThrow(
      'QEMU did not send its greeting over QMP within 20 ms.',
    );
    expect(near.destroyed).toBe(true);
  });

  it('rejects a peer that does not use QMP', async () => {
    const [near, far] = await socketPair();
    far.write('SSH-2.0-OpenSSH_9.2\r\n');
    await expect(QmpClient.connect(near)).rejects.toThrow(
      /^QEMU did not send its greeting: The QMP connection received something that is not QMP/,
    );
  });

  it('rejects when QEMU closes the connection before the greeting', async () => {
    const [near, far] = await socketPair();
    far.end();
    await expect(QmpClient.connect(near)).rejects.toThrow(
      'QEMU did not send its greeting: QEMU closed the QMP connection.',
    );
  });
});

describe('QMP commands', () => {
  it('return what QEMU returns', async () => {
    const { qemu, client } = await connected();
    qemu.onCommand = (command) => qemu.reply(command, { running: true });
    await expect(client.execute('query-status')).resolves.toEqual({ running: true });
  });

  it('pass their arguments to QEMU', async () => {
    const { qemu, client } = await connected();
    await client.execute('device_add', { driver: 'edu', socket: { type: 'unix' } });
    expect(qemu.received.at(-1)?.arguments).toEqual({ driver: 'edu', socket: { type: 'unix' } });
  });

  it('are matched with replies in any order by their ids', async () => {
    const { qemu, client } = await connected();
    const held: Received[] = [];
    qemu.onCommand = (command) => {
      held.push(command);
      if (held.length === 3) for (const each of held.reverse()) qemu.reply(each, each.execute);
    };
    const answers = await Promise.all(['one', 'two', 'three'].map((name) => client.execute(name)));
    expect(answers).toEqual(['one', 'two', 'three']);
  });

  it('accept a reply that arrives byte by byte', async () => {
    const { qemu, client } = await connected();
    qemu.onCommand = ({ id }) => {
      for (const byte of Buffer.from(`{"return": {"name": "Größe €"}, "id": ${id}}\r\n`))
        qemu.socket.write(Buffer.of(byte));
    };
    await expect(client.execute('query-name')).resolves.toEqual({ name: 'Größe €' });
  });

  it('reject with command, class and description when QEMU refuses', async () => {
    const { qemu, client } = await connected();
    qemu.onCommand = ({ id }) => qemu.send({ error: { class: 'DeviceNotFound', desc: "Device 'x' not found" }, id });
    const error = await client.execute('device_del', { id: 'x' }).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(QmpCommandError);
    expect(error).toMatchObject({ errorClass: 'DeviceNotFound', description: "Device 'x' not found" });
    expect((error as Error).message).toBe(
      "QEMU refused the QMP command 'device_del': DeviceNotFound: Device 'x' not found",
    );
  });

  it('reject at the time limit and ignore a late reply', async () => {
    const { qemu, client } = await connected();
    const held: Received[] = [];
    qemu.onCommand = (command) => held.push(command);
    const slow = client.execute('migrate', undefined, { timeoutMs: 20 });
    await expect(slow).rejects.toThrow(QmpTimeoutError);
    await expect(slow).rejects.toThrow("QEMU did not reply to 'migrate' over QMP within 20 ms.");
    qemu.onCommand = (command) => qemu.reply(command, 'fresh');
    for (const late of held) qemu.reply(late, 'late');
    await expect(client.execute('query-status')).resolves.toBe('fresh');
  });

  it('reject, as do waits for events, when the socket closes', async () => {
    const { qemu, client } = await connected();
    qemu.onCommand = ({ execute }) => {
      if (execute === 'second') qemu.socket.destroy();
    };
    const outcomes = await Promise.allSettled([
      client.waitForEvent('STOP'),
      client.execute('first'),
      client.execute('second'),
    ]);
    expect(outcomes.map((outcome) => (outcome as PromiseRejectedResult).reason.message)).toEqual([
      'QEMU did not send the event STOP: QEMU closed the QMP connection.',
      "'first' got no reply: QEMU closed the QMP connection.",
      "'second' got no reply: QEMU closed the QMP connection.",
    ]);
    expect(client.isClosed).toBe(true);
  });

  it('are refused after the connection was closed', async () => {
    const { client } = await connected();
    client.close();
    await expect(client.execute('stop')).rejects.toThrow(QmpConnectionError);
    await expect(client.execute('stop')).rejects.toThrow(
      "Cannot send 'stop': The QMP connection was closed on this side.",
    );
  });
});

describe('QMP events', () => {
  it('are filtered by name and condition', async () => {
    const { qemu, client } = await connected();
    const deleted = client.waitForEvent('DEVICE_DELETED', { where: ({ data }) => data['device'] === 'card1' });
    qemu.send({ event: 'RESUME', timestamp: { seconds: 1, microseconds: 0 } });
    qemu.send({ event: 'DEVICE_DELETED', data: { device: 'card0' }, timestamp: { seconds: 1, microseconds: 0 } });
    qemu.send({ event: 'DEVICE_DELETED', data: { device: 'card1' }, timestamp: { seconds: 2, microseconds: 500 } });
    await expect(deleted).resolves.toEqual({ event: 'DEVICE_DELETED', data: { device: 'card1' }, timeMs: 2000.5 });
  });

  it('are named in the error when they do not arrive in time', async () => {
    const { client } = await connected();
    await expect(client.waitForEvent('STOP', { timeoutMs: 10 })).rejects.toThrow(
      'QEMU did not send the event STOP over QMP within 10 ms.',
    );
  });

  it('can be iterated over until the connection closes', async () => {
    const { qemu, client } = await connected();
    const seen: string[] = [];
    const loop = (async () => {
      for await (const { event } of client.events()) seen.push(event);
    })();
    qemu.send({ event: 'STOP' });
    qemu.send({ event: 'RESUME' });
    qemu.socket.end();
    await loop;
    expect(seen).toEqual(['STOP', 'RESUME']);
  });

  it('are not reported to a listener that was removed', async () => {
    const { qemu, client } = await connected();
    const seen: string[] = [];
    const stop = client.onEvent(({ event }) => seen.push(event));
    qemu.onCommand = (command) => {
      qemu.send({ event: command.execute });
      qemu.reply(command, {});
    };
    await client.execute('FIRST');
    stop();
    await client.execute('SECOND');
    expect(seen).toEqual(['FIRST']);
  });
});
