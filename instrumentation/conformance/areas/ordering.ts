/**
 * Several commands under way, and those that want no reply.
 *
 * Source: QEMU docs/interop/vfio-user.rst, "Command Concurrency", "Header".
 */
import { Command, commandName, HeaderFlag } from '../../../emulator/vfio-user/wire';
import { type Area, type Case } from '../case';
import { deviceInfoOf, type MapFields, mapOf, messageOf, readOf, writeOf } from '../messages';
import { Unmet } from '../outcome';
import { read } from './regions';
import { INTERRUPT_LINE, SAMPLES, slugOf } from './requests';

const CONCURRENCY = 'Command Concurrency';
const INFO = { command: Command.DEVICE_GET_INFO, payload: deviceInfoOf() };

const noReply = SAMPLES.map((sample): Case => {
  return {
    name: `no-reply-${slugOf(sample.command)}`,
    section: 'Header, No_reply',
    expects: `${commandName(sample.command)} that wants no reply gets none; the next command is answered`,
    run: async (t) => {
      const { client, device } = await t.open();
      const request = { payload: sample.payload(device), descriptors: sample.descriptors?.(t) ?? [] };
      client.post(sample.command, { ...request, flags: HeaderFlag.NO_REPLY });
      await client.goesOn();
    },
  };
});

export const ordering: Area = {
  name: 'ordering',
  about: 'several commands under way, commands that want no reply',
  cases: [
    ...noReply,
    {
      name: 'no-reply-to-an-error',
      section: 'Header, No_reply',
      expects: 'commands that fail and want no reply get none',
      run: async (t) => {
        const { client, device } = await t.open();
        const flags = HeaderFlag.NO_REPLY;
        client.post(4711, { flags });
        client.post(Command.DMA_MAP, { flags });
        client.post(Command.REGION_READ, { flags, payload: readOf(0xffff_ffff, 0, 4) });
        client.post(Command.REGION_WRITE, { flags, payload: writeOf(device.config.index, 1n << 62n, Buffer.alloc(4)) });
        client.post(Command.DEVICE_SET_IRQS, { flags, descriptors: t.eventfds(1) });
        await client.goesOn();
      },
    },
    {
      name: 'write-then-read',
      section: CONCURRENCY,
      expects: 'a write that wants no reply has been done when the read behind it is answered',
      run: async (t) => {
        const { client, device } = await t.open();
        for (let value = 0; value < 256; value += 15) {
          const payload = writeOf(device.config.index, INTERRUPT_LINE, Uint8Array.of(value));
          client.post(Command.REGION_WRITE, { flags: HeaderFlag.NO_REPLY, payload });
          const [seen] = await read(client, device.config.index, INTERRUPT_LINE, 1);
          if (seen !== value) throw new Unmet(`Interrupt Line reads ${seen} behind a write of ${value}`);
        }
      },
    },
    ...[2, 16, 1000].map((number): Case => {
      return {
        name: `pipeline-${number}`,
        section: CONCURRENCY,
        expects: `${number} commands that are sent together are done and answered in their order`,
        run: async (t) => {
          const { client, device } = await t.open();
          const { index } = device.config;
          const pairs = Array.from({ length: number / 2 }, (_, i) => [
            messageOf({
              ...{ id: 2 * i, command: Command.REGION_WRITE },
              payload: writeOf(index, INTERRUPT_LINE, Uint8Array.of(i)),
            }),
            messageOf({ id: 2 * i + 1, command: Command.REGION_READ, payload: readOf(index, INTERRUPT_LINE, 1) }),
          ]);
          client.send(Buffer.concat(pairs.flat()));
          for (let i = 0; i < number / 2; i++) {
            await client.reply(Command.REGION_WRITE, 2 * i);
            const { payload } = await client.reply(Command.REGION_READ, 2 * i + 1);
            if (payload[16] !== (i & 0xff))
              throw new Unmet(`read ${i} returned ${payload[16]}; ${i & 0xff} was written before it`);
          }
        },
      };
    }),
    {
      name: 'pipeline-of-errors',
      section: CONCURRENCY,
      expects: 'commands that fail among others that do not are answered in their order',
      run: async (t) => {
        const client = await t.session();
        const commands = Array.from({ length: 50 }, (_, i) => (i % 2 === 0 ? { command: 4711 } : INFO));
        client.send(Buffer.concat(commands.map((each, id) => messageOf({ ...each, id }))));
        for (const [id, { command }] of commands.entries()) {
          const reply = await client.reply(command, id);
          if (reply.isError !== (command === 4711))
            throw new Unmet(`reply ${id} is ${reply.isError ? 'an' : 'no'} error`);
        }
      },
    },
    {
      name: 'pipeline-with-descriptors',
      section: CONCURRENCY,
      expects: 'maps that are sent together each take their own descriptor',
      run: async (t) => {
        const client = await t.session();
        const mapped = (i: number): MapFields => ({
          iova: BigInt(i) << 20n,
          sizeBytes: 4096n,
          fileOffset: BigInt(i) * 4096n,
        });
        // Only file i is long enough for map i: with another descriptor it cannot be mapped.
        for (let i = 0; i < 8; i++)
          client.post(Command.DMA_MAP, { id: i, payload: mapOf(mapped(i)), descriptors: [t.memory(4096 * (i + 1))] });
        for (let i = 0; i < 8; i++) {
          if ((await client.reply(Command.DMA_MAP, i)).isError) throw new Unmet(`map ${i} of 8 was refused`);
        }
      },
    },
    {
      name: 'unread-replies',
      section: 'Security Considerations',
      expects: 'a client that reads nothing, with a thousand large reads under way, does not harm the next one',
      run: async (t) => {
        const { client, device } = await t.open();
        client.stopReading();
        const { index, sizeBytes } = device.config;
        const one = messageOf({ command: Command.REGION_READ, payload: readOf(index, 0, Number(sizeBytes)) });
        client.send(Buffer.concat(Array.from({ length: 1000 }, () => one)));
        await new Promise((resolve) => setTimeout(resolve, 50));
      },
    },
  ],
};
