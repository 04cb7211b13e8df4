/** Framing, ids, flags and sizes. Source: QEMU docs/interop/vfio-user.rst, "Header", "Commands", "Command Concurrency". */
import { Command, commandName, HEADER_BYTES, HeaderFlag } from '../../../emulator/vfio-user/wire';
import { type Area, type Case } from '../case';
import { type Client } from '../client';
import { deviceInfoOf, messageOf, readOf, words, writeOf } from '../messages';
import { Unmet } from '../outcome';
import { type Trial } from '../trial';
import { INTERRUPT_LINE, type Sample, SAMPLES, slugOf, VERSION_PAYLOAD } from './requests';

const HEADER = 'Header';
const INFO = { command: Command.DEVICE_GET_INFO, payload: deviceInfoOf() };
/** Lets the server receive what was sent so far before the rest follows. */
const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1));

/** A session in which `sample` can be sent, and its message. */
async function prepared(t: Trial, sample: Sample, id = 0x1234): Promise<Prepared> {
  const { client, device } = await t.open();
  if (sample.after) await client.accepted(sample.after.command, requestOf(t, sample.after, device));
  const { payload, descriptors } = requestOf(t, sample, device);
  return { client, id, bytes: messageOf({ id, command: sample.command, payload }), descriptors };
}

interface Prepared {
  readonly client: Client;
  readonly id: number;
  readonly bytes: Buffer;
  readonly descriptors: number[];
}

const requestOf = (t: Trial, sample: Sample, device: Parameters<Sample['payload']>[0]) => ({
  payload: sample.payload(device),
  descriptors: sample.descriptors?.(t) ?? [],
});

async function expectReply({ client, id }: Prepared, { command, isOptional }: Sample): Promise<void> {
  const reply = await client.reply(command, id);
  if (reply.isError && !isOptional) throw new Unmet(`${commandName(command)} was refused with errno ${reply.errno}`);
}

const perCommand = (name: string, of: (sample: Sample) => Omit<Case, 'name'>): Case[] =>
  SAMPLES.map((sample) => ({ name: `${name}-${slugOf(sample.command)}`, ...of(sample) }));

const whole = perCommand('whole', (sample) => ({
  section: HEADER,
  expects: `${commandName(sample.command)} in one piece is answered with its id and command`,
  run: async (t) => {
    const one = await prepared(t, sample);
    one.client.send(one.bytes, one.descriptors);
    await expectReply(one, sample);
    await one.client.goesOn();
  },
}));

const split = perCommand('split', (sample) => ({
  section: HEADER,
  expects: `${commandName(sample.command)} in two pieces, split at every byte, is answered`,
  run: async (t) => {
    const { client, device } = await t.open();
    const { payload } = requestOf(t, sample, device);
    const bytes = messageOf({ command: sample.command, payload });
    for (let at = 1; at < bytes.length; at++) {
      if (sample.after) await client.ask(sample.after.command, requestOf(t, sample.after, device));
      client.send(bytes.subarray(0, at), sample.descriptors?.(t));
      await pause();
      client.send(bytes.subarray(at));
      const reply = await client.reply(sample.command, 1);
      // What was mapped before stays, and is refused the next time.
      if (reply.isError && !sample.isOptional && sample.command !== Command.DMA_MAP)
        throw new Unmet(`split at byte ${at}, ${commandName(sample.command)} was refused with errno ${reply.errno}`);
    }
  },
}));

const byByte = perCommand('by-byte', (sample) => ({
  section: HEADER,
  expects: `${commandName(sample.command)} byte by byte is answered`,
  run: async (t) => {
    const one = await prepared(t, sample);
    for (let at = 0; at < one.bytes.length; at++) {
      one.client.send(one.bytes.subarray(at, at + 1), at === 0 ? one.descriptors : []);
      await pause();
    }
    await expectReply(one, sample);
  },
}));

const undersized = SAMPLES.filter(({ fixedBytes }) => fixedBytes > 0).map((sample): Case => {
  const { command, fixedBytes } = sample;
  return {
    name: `short-${slugOf(command)}`,
    section: commandName(command),
    expects: `${commandName(command)} with each number of bytes below its ${fixedBytes} is refused, and the session goes on`,
    run: async (t) => {
      const { client, device } = await t.open();
      const payload = sample.payload(device);
      for (let bytes = 0; bytes < fixedBytes; bytes++) {
        await client.refused(command, {
          payload: payload.subarray(0, bytes),
          descriptors: sample.descriptors?.(t) ?? [],
        });
      }
      await client.goesOn();
    },
  };
});

const oversized = perCommand('long', (sample) => ({
  section: HEADER,
  expects: `${commandName(sample.command)} with 4096 bytes too many is answered`,
  run: async (t) => {
    const { client, device } = await t.open();
    const payload = Buffer.concat([sample.payload(device), Buffer.alloc(4096)]);
    await client.ask(sample.command, { payload });
    await client.goesOn();
  },
}));

const unknown = [0, 14, 19, 127, 128, 255, 256, 0x7fff, 0x8000, 0xffff].map((command): Case => {
  return {
    name: `unknown-command-${command}`,
    section: 'Commands',
    expects: `command ${command}, which does not exist, is refused, and the session goes on`,
    run: async (t) => {
      const client = await t.session();
      await client.refused(command);
      await client.refused(command, { payload: Buffer.alloc(100) });
      await client.goesOn();
    },
  };
});

const otherDirection = [Command.DMA_READ, Command.DMA_WRITE].map((command): Case => {
  return {
    name: `direction-${slugOf(command)}`,
    section: 'Commands',
    expects: `${commandName(command)} from the client, which only servers send, is refused, and the session goes on`,
    run: async (t) => {
      const client = await t.session();
      await client.refused(command, { payload: Buffer.concat([words(0, 0, 16, 0), Buffer.alloc(16)]) });
      await client.goesOn();
    },
  };
});

const optional = [
  [Command.DEVICE_FEATURE, words(8, 0x1_0001)],
  [Command.DEVICE_FEATURE, words(8, 0x4_0000)],
  [Command.MIG_DATA_READ, words(16, 4096)],
  [Command.MIG_DATA_WRITE, Buffer.concat([words(24, 8), Buffer.alloc(8)])],
] as const;
const migration = optional.map(([command, payload], i): Case => {
  return {
    name: `optional-${slugOf(command)}-${i + 1}`,
    section: commandName(command),
    expects: `${commandName(command)} is answered, by an error if the device does not have it`,
    run: async (t) => {
      const client = await t.session();
      await client.ask(command, { payload });
      await client.goesOn();
    },
  };
});

const types = [2, 3, 7, 8, 15].map((type): Case => {
  return {
    name: `type-${type}`,
    section: HEADER,
    expects: `a message of type ${type}, neither command nor reply, leaves the server usable`,
    run: async (t) => {
      const client = await t.session();
      client.send(messageOf({ ...INFO, flags: type }));
      await client.settled();
    },
  };
});

const sizes = [0, 1, 8, 15].map((sizeBytes): Case => {
  return {
    name: `size-${sizeBytes}`,
    section: HEADER,
    expects: `a header that says ${sizeBytes} bytes, less than itself, leaves the server usable`,
    run: async (t) => {
      const client = await t.session();
      client.send(messageOf({ ...INFO, sizeBytes }));
      await client.settled();
    },
  };
});

const hugeSizes = [0x7fff_ffff, 0x8000_0000, 0xffff_fff0, 0xffff_ffff].map((sizeBytes): Case => {
  return {
    name: `size-0x${sizeBytes.toString(16)}`,
    section: HEADER,
    expects: `a header that says ${sizeBytes} bytes, of which few follow, leaves the server usable`,
    run: async (t) => {
      const client = await t.session();
      client.send(messageOf({ ...INFO, sizeBytes }));
      await client.settled();
    },
  };
});

export const messages: Area = {
  name: 'messages',
  about: 'framing, ids, flags, sizes, unknown commands, unsolicited replies',
  cases: [
    ...whole,
    ...split,
    {
      name: 'split-version',
      section: HEADER,
      expects: 'VERSION in two pieces, split at every byte, is answered',
      run: async (t) => {
        const bytes = messageOf({ command: Command.VERSION, payload: VERSION_PAYLOAD });
        const step = t.isSingleShot ? 7 : 1;
        for (let at = 1; at < bytes.length; at += step) {
          const client = await t.connect();
          client.send(bytes.subarray(0, at));
          await pause();
          client.send(bytes.subarray(at));
          if ((await client.reply(Command.VERSION, 1)).isError)
            throw new Unmet(`split at byte ${at}, VERSION was refused`);
          client.close();
        }
      },
    },
    ...byByte,
    {
      name: 'descriptor-with-the-last-byte',
      section: 'VFIO_USER_DMA_MAP',
      expects: 'a DMA_MAP whose descriptor comes with its last byte is answered',
      run: async (t) => {
        const one = await prepared(t, SAMPLES[0]!);
        one.client.send(one.bytes.subarray(0, -1));
        await pause();
        one.client.send(one.bytes.subarray(-1), one.descriptors);
        await one.client.reply(Command.DMA_MAP, one.id);
        await one.client.goesOn();
      },
    },
    ...undersized,
    ...oversized,
    {
      name: 'write-beyond-the-limit',
      section: 'Read and Write Operations',
      expects:
        'a write of one byte, one page and as much again as max_data_xfer_size allows is refused, and the session goes on',
      run: async (t) => {
        const { client, device } = await t.open();
        const most = device.limits.maxTransferBytes;
        for (const count of [most + 1, most + 4096, 2 * most]) {
          await client.refused(Command.REGION_WRITE, { payload: writeOf(device.config.index, 0, Buffer.alloc(count)) });
          await client.goesOn();
        }
      },
    },
    {
      name: 'write-beyond-the-limit-no-reply',
      section: 'Read and Write Operations',
      expects: 'a write beyond max_data_xfer_size that wants no reply gets none, and the session goes on',
      run: async (t) => {
        const { client, device } = await t.open();
        const payload = writeOf(device.config.index, 0, Buffer.alloc(device.limits.maxTransferBytes + 1));
        client.post(Command.REGION_WRITE, { flags: HeaderFlag.NO_REPLY, payload });
        await client.goesOn();
      },
    },
    {
      name: 'write-beyond-the-limit-with-descriptors',
      section: 'Read and Write Operations',
      expects: 'the descriptors of a message beyond the limit are closed, and do not count for the next message',
      run: async (t) => {
        const { client, device } = await t.open();
        const message = messageOf({
          command: Command.REGION_WRITE,
          payload: writeOf(device.config.index, 0, Buffer.alloc(device.limits.maxTransferBytes + 1)),
        });
        client.send(message.subarray(0, 64), [t.eventfd()]);
        await pause();
        client.send(message.subarray(64), [t.eventfd()]);
        await client.refusedAs(Command.REGION_WRITE, 1);
        await client.accepted(Command.DMA_MAP, {
          payload: SAMPLES[0]!.payload(device),
          descriptors: [t.memory(4096)],
        });
        await client.goesOn();
      },
    },
    ...sizes,
    ...hugeSizes,
    ...unknown,
    ...otherDirection,
    ...migration,
    ...types,
    ...[0, 1, 0x7fff, 0xffff].map((id): Case => {
      return {
        name: `id-${id}`,
        section: HEADER,
        expects: `the message id ${id} is echoed, also in an error reply`,
        run: async (t) => {
          const client = await t.session();
          await client.accepted(INFO.command, { ...INFO, id });
          await client.refused(0x4711, { id });
        },
      };
    }),
    {
      name: 'same-ids',
      section: HEADER,
      expects: 'commands that are under way with the same id are all answered, in order',
      run: async (t) => {
        const { client, device } = await t.open();
        const payload = readOf(device.config.index, 0, 4);
        const read = { command: Command.REGION_READ, payload };
        client.send(Buffer.concat([read, INFO, read, INFO].map((each) => messageOf({ ...each, id: 9 }))));
        for (const { command } of [read, INFO, read, INFO]) await client.reply(command, 9);
      },
    },
    {
      name: 'error-in-a-command',
      section: HEADER,
      expects: 'a command with the error flag and an error number, which are reserved there, is answered',
      run: async (t) => {
        const client = await t.session();
        await client.ask(INFO.command, { ...INFO, flags: HeaderFlag.ERROR, errno: 5 });
        await client.ask(INFO.command, { ...INFO, errno: 0xffff_ffff });
        await client.goesOn();
      },
    },
    {
      name: 'unknown-flags',
      section: HEADER,
      expects: 'a command with flags that are not defined leaves the server usable',
      run: async (t) => {
        const client = await t.session();
        client.send(messageOf({ ...INFO, flags: 0xffff_ffc0 }));
        await client.settled();
      },
    },
    ...(
      [
        ['unsolicited-reply', 'a reply that nobody has asked for', HeaderFlag.TYPE_REPLY, 0],
        ['unsolicited-error', 'an error reply that nobody has asked for', HeaderFlag.TYPE_REPLY | HeaderFlag.ERROR, 5],
      ] as const
    ).map(([name, what, flags, errno]): Case => {
      return {
        name,
        section: HEADER,
        expects: `${what} leaves the server usable`,
        run: async (t) => {
          const client = await t.session();
          for (const command of [Command.DMA_READ, Command.DMA_WRITE, INFO.command])
            client.send(messageOf({ command, flags, errno, id: 3, payload: Buffer.alloc(64) }));
          await client.settled();
        },
      };
    }),
    {
      name: 'unsolicited-reply-with-descriptors',
      section: HEADER,
      expects: 'the descriptors of a reply that nobody has asked for are closed',
      run: async (t) => {
        const client = await t.session();
        client.send(messageOf({ command: Command.DMA_READ, flags: HeaderFlag.TYPE_REPLY }), t.eventfds(2));
        await client.settled();
      },
    },
    {
      name: 'random-bytes',
      section: 'Security Considerations',
      expects: 'bytes that are no messages leave the server usable',
      run: async (t) => {
        for (let seed = 1; seed <= (t.isSingleShot ? 3 : 50); seed++) {
          const client = seed % 2 === 0 ? await t.session() : await t.connect();
          client.send(randomBytes(seed, 16 + (seed % 7) * 50));
          client.close();
        }
      },
    },
    ...SAMPLES.filter(({ descriptors }) => descriptors === undefined).map((sample): Case => {
      return {
        name: `descriptors-with-${slugOf(sample.command)}`,
        section: HEADER,
        expects: `${commandName(sample.command)} with descriptors, which it does not take, is answered; they are closed`,
        run: async (t) => {
          const { client, device } = await t.open();
          await client.ask(sample.command, { payload: sample.payload(device), descriptors: t.eventfds(2) });
          await client.goesOn();
        },
      };
    }),
    {
      name: 'many-descriptors',
      section: 'VFIO_USER_VERSION',
      expects: 'more descriptors than max_msg_fds with one message leave the server usable, and are closed',
      run: async (t) => {
        const { client, device } = await t.open();
        const fd = t.eventfd();
        for (const number of [device.limits.maxMessageDescriptors + 1, 64, 253]) {
          client.post(INFO.command, { ...INFO, descriptors: Array.from({ length: number }, () => fd) });
          await client.settled();
        }
      },
    },
    {
      name: 'descriptors-with-every-byte',
      section: HEADER,
      expects: 'descriptors with every byte of an unfinished message are closed at the end of the connection',
      run: async (t) => {
        const client = await t.session();
        const fd = t.eventfd();
        const message = messageOf({ ...INFO, sizeBytes: 4096 });
        for (let at = 0; at < message.length; at++)
          client.send(
            message.subarray(at, at + 1),
            Array.from({ length: 20 }, () => fd),
          );
        await client.settled();
      },
    },
    {
      name: 'empty-payloads',
      section: HEADER,
      expects: 'a hundred headers without payload are all answered',
      run: async (t) => {
        const client = await t.session();
        const headers = Array.from({ length: 100 }, (_, id) => messageOf({ command: id % 20, id }));
        const wanted = headers.filter((_, id) => id % 20 !== Command.VERSION && id % 20 !== Command.DEVICE_RESET);
        client.send(Buffer.concat(wanted));
        for (const header of wanted) await client.reply(header.readUInt16LE(2), header.readUInt16LE(0));
      },
    },
    {
      name: 'header-of-the-next',
      section: HEADER,
      expects: 'messages of which each piece has the end of one and the beginning of the next are all answered',
      run: async (t) => {
        const { client, device } = await t.open();
        const one = messageOf({
          command: Command.REGION_WRITE,
          payload: writeOf(device.config.index, INTERRUPT_LINE, Uint8Array.of(1)),
        });
        const stream = Buffer.concat(Array.from({ length: HEADER_BYTES * 2 }, () => one));
        for (let at = 0; at < stream.length; at += one.length - 1) {
          client.send(stream.subarray(at, at + one.length - 1));
          await pause();
        }
        for (let i = 0; i < HEADER_BYTES * 2; i++) await client.reply(Command.REGION_WRITE, 1);
      },
    },
  ],
};

/** The same for the same seed: xorshift. */
function randomBytes(seed: number, sizeBytes: number): Buffer {
  let state = seed * 2_654_435_761;
  return Buffer.from(
    Array.from({ length: sizeBytes }, () => {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      return state & 0xff;
    }),
  );
}
