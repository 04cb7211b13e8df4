/**
 * Clients that come at the same time, go at any moment, or are half there.
 *
 * Source: QEMU docs/interop/vfio-user.rst, "Socket", "Client Disconnection", "Security Considerations".
 */
import { once } from 'node:events';
import { connect as connectSocket, type Socket } from 'node:net';
import { Command, commandName } from '../../../emulator/vfio-user/wire';
import { type Area, type Case } from '../case';
import { deviceInfoOf, mapOf, messageOf } from '../messages';
import { NotApplicable, Unmet } from '../outcome';
import { type Trial } from '../trial';
import { SAMPLES, slugOf, VERSION_PAYLOAD } from './requests';

const GOES = 'Client Disconnection';
const VERSION = messageOf({ command: Command.VERSION, payload: VERSION_PAYLOAD });
const INFO = messageOf({ command: Command.DEVICE_GET_INFO, payload: deviceInfoOf() });

/** Positions in a message at which a client goes: all, or a few if each costs a start of the server. */
const points = (t: Trial, bytes: number): number[] =>
  t.isSingleShot ? [1, 15, 16, bytes - 1, bytes] : Array.from({ length: bytes }, (_, i) => i + 1);

const goesDuring = SAMPLES.map((sample): Case => {
  return {
    name: `goes-during-${slugOf(sample.command)}`,
    section: GOES,
    expects: `a client that goes after each byte of ${commandName(sample.command)} leaves nothing behind`,
    run: async (t) => {
      const { client, device } = await t.open();
      const bytes = messageOf({ command: sample.command, payload: sample.payload(device) });
      const descriptors = sample.descriptors?.(t) ?? [];
      client.close();
      for (const point of points(t, bytes.length)) {
        const each = await t.session();
        each.send(bytes.subarray(0, point), descriptors);
        each.close();
      }
    },
  };
});

/** A connection whose sending side is closed behind `bytes`. Node's sockets can do that, and pass no descriptors. */
async function halfOpen(t: Trial, bytes: Uint8Array, meanwhile: (socket: Socket) => Promise<void>): Promise<void> {
  const socket = connectSocket({ path: t.socketPath, allowHalfOpen: true });
  socket.on('error', () => {}); // the server may reset the connection
  socket.resume();
  try {
    await once(socket, 'connect');
    socket.end(bytes);
    await meanwhile(socket);
  } finally {
    socket.destroy();
  }
}

const halfOpenAt = (name: string, what: string, bytes: Uint8Array): Case => ({
  name: `half-open-${name}`,
  section: GOES,
  expects: `a client that closes its sending side ${what}, and stays, does not keep the next one from being served`,
  run: async (t) => {
    if (t.isSingleShot) throw new NotApplicable('the server ends with its client');
    await halfOpen(t, bytes, async () => (await t.session()).goesOn());
  },
});

export const connections: Area = {
  name: 'connections',
  about: 'a second client, half-open connections, clients that go at any moment',
  cases: [
    {
      name: 'second-client',
      section: 'Socket',
      expects: 'a second client is served, waits or is turned away; the first one is served as before',
      run: async (t) => {
        const first = await t.session();
        const second = await t.connect();
        second.send(VERSION);
        await second.settled();
        await first.goesOn();
        second.close();
        await first.goesOn();
      },
    },
    {
      name: 'second-client-after-the-first',
      section: 'Socket',
      expects: 'a second client that was not turned away is served when the first one has gone',
      run: async (t) => {
        if (t.isSingleShot) throw new NotApplicable('the server ends with its client');
        const first = await t.session();
        const second = await t.connect();
        second.send(VERSION);
        const early = await second.arrival(100);
        if (early !== undefined && 'ended' in early) throw new NotApplicable('the server turns a second client away');
        first.close();
        if (early === undefined) await second.reply(Command.VERSION, 1);
        await second.goesOn();
      },
    },
    {
      name: 'many-wait',
      section: 'Socket',
      expects: 'clients that connect while another is served, and go again, do not matter',
      run: async (t) => {
        const first = await t.session();
        for (let i = 0; i < 10; i++) {
          const other = await t.connect();
          if (i % 2 === 0) other.send(VERSION);
          other.close();
          await first.goesOn();
        }
      },
    },
    {
      name: 'come-and-go',
      section: GOES,
      expects: 'fifty clients that connect and go at once leave nothing behind',
      run: async (t) => {
        for (let i = 0; i < (t.isSingleShot ? 3 : 50); i++) (await t.connect()).close();
      },
    },
    {
      name: 'goes-during-version',
      section: GOES,
      expects: 'a client that goes after each byte of VERSION leaves nothing behind',
      run: async (t) => {
        for (const point of points(t, VERSION.length)) {
          const client = await t.connect();
          client.send(VERSION.subarray(0, point));
          client.close();
        }
      },
    },
    ...goesDuring,
    {
      name: 'goes-with-unread-replies',
      section: GOES,
      expects: 'a client that goes without having read its replies leaves nothing behind',
      run: async (t) => {
        for (let i = 0; i < (t.isSingleShot ? 2 : 20); i++) {
          const client = await t.session();
          client.stopReading();
          client.send(Buffer.concat(Array.from({ length: 100 }, () => INFO)));
          client.close();
        }
      },
    },
    {
      name: 'goes-with-everything-set-up',
      section: GOES,
      expects: 'a client that goes with maps and interrupts set up leaves no descriptor behind, ten times',
      run: async (t) => {
        for (let i = 0; i < (t.isSingleShot ? 2 : 10); i++) {
          const { client, device } = await t.open();
          for (let map = 0n; map < 5n; map++)
            await client.accepted(Command.DMA_MAP, {
              payload: mapOf({ iova: map << 20n, sizeBytes: 4096n }),
              descriptors: [t.memory(4096)],
            });
          for (const sample of SAMPLES.filter(({ command }) => command === Command.DEVICE_SET_IRQS))
            await client.ask(sample.command, { payload: sample.payload(device), descriptors: sample.descriptors!(t) });
          client.close();
        }
      },
    },
    halfOpenAt('at-once', 'at once', Buffer.alloc(0)),
    halfOpenAt('in-a-header', 'in the middle of a header', VERSION.subarray(0, 9)),
    halfOpenAt('in-a-payload', 'in the middle of a payload', VERSION.subarray(0, 40)),
    halfOpenAt('in-session', 'behind VERSION', VERSION),
    halfOpenAt('in-a-command', 'in the middle of a command', Buffer.concat([VERSION, INFO.subarray(0, 20)])),
    {
      name: 'half-open-gets-its-replies',
      section: 'Socket',
      expects: 'commands before the end of the sending side are answered, or the connection ends',
      run: async (t) => {
        await halfOpen(t, Buffer.concat([VERSION, INFO, INFO]), (socket) => {
          const late = `the connection is still open after ${t.timeoutMs} ms`;
          return new Promise((resolve, reject) => {
            const timer = setTimeout(() => reject(new Unmet(late)), t.timeoutMs);
            socket.once('close', () => {
              clearTimeout(timer);
              resolve();
            });
          });
        });
      },
    },
  ],
};
