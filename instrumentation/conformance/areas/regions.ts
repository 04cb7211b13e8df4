/**
 * Reads and writes of regions, at every border.
 *
 * Source: QEMU docs/interop/vfio-user.rst, "Read and Write Operations", "VFIO_USER_REGION_READ" and on.
 */
import { Command, HeaderFlag } from '../../../emulator/vfio-user/wire';
import { type Area, type Case } from '../case';
import { type Client } from '../client';
import { type Device, type Region } from '../device';
import { longs, type MultiWrite, readOf, writeMultiOf, writeOf } from '../messages';
import { NotApplicable, Unmet } from '../outcome';
import { PROPOSED, type Trial } from '../trial';
import { INTERRUPT_LINE } from './requests';

const READ = 'VFIO_USER_REGION_READ';
const WRITE = 'VFIO_USER_REGION_WRITE';
const MULTI = 'VFIO_USER_REGION_WRITE_MULTI';
const LIMITS = 'Read and Write Operations';
const ACCESS_BYTES = 16;
const TWO_TO_64 = 1n << 64n;

/** Reads, and checks that the reply repeats the request and has as many bytes. */
export async function read(client: Client, region: number, offset: bigint | number, count: number): Promise<Buffer> {
  const request = readOf(region, offset, count);
  const { payload } = await client.accepted(Command.REGION_READ, { payload: request });
  if (payload.length !== ACCESS_BYTES + count)
    throw new Unmet(`the reply to a read of ${count} bytes has ${payload.length} bytes of payload`);
  if (!payload.subarray(0, ACCESS_BYTES).equals(request))
    throw new Unmet('offset, region and count of the reply are not those of the request');
  return payload.subarray(ACCESS_BYTES);
}

export async function write(client: Client, region: number, offset: bigint | number, data: Uint8Array): Promise<void> {
  const request = writeOf(region, offset, data);
  const { payload } = await client.accepted(Command.REGION_WRITE, { payload: request });
  if (!payload.equals(request.subarray(0, ACCESS_BYTES)))
    throw new Unmet('the payload of the reply is not offset, region and count of the request');
}

/** Runs on each region that is there and readable or writable. */
async function onEach(
  t: Trial,
  wanted: (region: Region) => boolean,
  run: (client: Client, region: Region, device: Device) => Promise<void>,
): Promise<void> {
  const { client, device } = await t.open();
  const regions = device.regions.filter((region) => region.sizeBytes > 0n && wanted(region));
  if (regions.length === 0) throw new NotApplicable('the device has no such region');
  for (const region of regions) await run(client, region, device);
  await client.goesOn();
}

const readable = (region: Region): boolean => region.readable;
const writable = (region: Region): boolean => region.writable;

/** Accesses that are not inside the region. */
const outside = (size: bigint): readonly (readonly [bigint, number])[] => [
  [size - 1n, 2],
  [size - 3n, 4],
  [size, 1],
  [size, 4],
  [size + 1n, 1],
  [1n << 32n, 4],
  [1n << 53n, 4],
  [1n << 63n, 4],
  [TWO_TO_64 - 4n, 4],
  [TWO_TO_64 - 1n, 1],
  [TWO_TO_64 - 1n, 2],
  [TWO_TO_64 - 4n, 8],
];
const isOutside = (size: bigint, [offset, count]: readonly [bigint, number]): boolean =>
  offset >= 0n && offset + BigInt(count) > size;

const badRegions = (device: Device): number[] => [
  ...device.regions.filter(({ sizeBytes }) => sizeBytes === 0n).map(({ index }) => index),
  device.regions.length,
  0x7fff_ffff,
  0x8000_0000,
  0xffff_ffff,
];

/** What a multiple write can have wrong. Offsets are those of the configuration space. */
const badMultis: readonly (readonly [string, string, (region: number) => Buffer])[] = [
  ['count-9', 'a write of 9 bytes', (region) => writeMultiOf([{ ...line(region, 1), count: 9 }])],
  ['count-2-32', 'a write of 2^32 - 1 bytes', (region) => writeMultiOf([{ ...line(region, 1), count: 0xffff_ffff }])],
  ['more-than-there-are', 'more writes than it holds', (region) => writeMultiOf([line(region, 1)], 2n)],
  ['2-61-writes', '2^61 writes, whose size wraps', (region) => writeMultiOf([line(region, 1)], 1n << 61n)],
  ['2-64-writes', '2^64 - 1 writes', (region) => writeMultiOf([line(region, 1)], TWO_TO_64 - 1n)],
  ['bad-region', 'a write to a region that does not exist', () => writeMultiOf([line(0xffff_ffff, 1)])],
  ['bad-offset', 'a write beyond the region', (region) => writeMultiOf([{ ...line(region, 1), offset: 1n << 62n }])],
];

function line(region: number, value: number): MultiWrite {
  return { region, offset: INTERRUPT_LINE, data: Uint8Array.of(value) };
}

async function multi(t: Trial): Promise<{ client: Client; region: number }> {
  const { client, device } = await t.open();
  if (!device.limits.writeMultiple) throw new NotApplicable('the server does not offer write_multiple');
  return { client, region: device.config.index };
}

async function expectLine(client: Client, region: number, value: number): Promise<void> {
  const [seen] = await read(client, region, INTERRUPT_LINE, 1);
  if (seen !== value) throw new Unmet(`Interrupt Line reads ${seen}; ${value} was written`);
}

export const regions: Area = {
  name: 'regions',
  about: 'reads and writes of regions, at every border; several writes in one message',
  cases: [
    ...[1, 2, 4, 8].map((count): Case => {
      return {
        name: `read-${count}`,
        section: READ,
        expects: `a read of ${count} bytes at the beginning and end of each region returns as many, with the request's fields`,
        run: (t) =>
          onEach(t, readable, async (client, { index, sizeBytes }) => {
            if (sizeBytes < BigInt(count)) return;
            // Some devices have registers of one width; what they answer is theirs.
            for (const offset of [0n, sizeBytes - BigInt(count)]) {
              const reply = await client.ask(Command.REGION_READ, { payload: readOf(index, offset, count) });
              if (!reply.isError && reply.payload.length !== ACCESS_BYTES + count)
                throw new Unmet(`the reply to a read of ${count} bytes has ${reply.payload.length} bytes of payload`);
            }
          }),
      };
    }),
    {
      name: 'read-config',
      section: READ,
      expects: 'configuration space is read whole, and byte by byte, with the same result',
      run: async (t) => {
        const { client, device } = await t.open();
        const whole = await read(client, device.config.index, 0, 64);
        for (let at = 0; at < 64; at++) {
          const [byte] = await read(client, device.config.index, at, 1);
          if (byte !== whole[at]) throw new Unmet(`byte ${at} reads ${byte}, and ${whole[at]} as part of 64 bytes`);
        }
      },
    },
    {
      name: 'write-config',
      section: WRITE,
      expects: 'what is written to Interrupt Line reads back; the reply has the fields of the request',
      run: async (t) => {
        const { client, device } = await t.open();
        for (const value of [0, 0x5a, 0xff]) {
          await write(client, device.config.index, INTERRUPT_LINE, Uint8Array.of(value));
          await expectLine(client, device.config.index, value);
        }
      },
    },
    {
      name: 'read-outside',
      section: LIMITS,
      expects:
        'a read that is not inside the region is refused, also where offset and count wrap, and the session goes on',
      run: (t) =>
        onEach(t, readable, async (client, { index, sizeBytes }) => {
          for (const [offset, count] of outside(sizeBytes).filter((access) => isOutside(sizeBytes, access)))
            await client.refused(Command.REGION_READ, { payload: readOf(index, offset, count) });
        }),
    },
    {
      name: 'write-outside',
      section: LIMITS,
      expects:
        'a write that is not inside the region is refused, also where offset and count wrap, and the session goes on',
      run: (t) =>
        onEach(t, writable, async (client, { index, sizeBytes }) => {
          for (const [offset, count] of outside(sizeBytes).filter((access) => isOutside(sizeBytes, access)))
            await client.refused(Command.REGION_WRITE, { payload: writeOf(index, offset, Buffer.alloc(count)) });
        }),
    },
    {
      name: 'read-no-such-region',
      section: READ,
      expects: 'a read of a region that is absent or does not exist is refused, and the session goes on',
      run: async (t) => {
        const { client, device } = await t.open();
        for (const region of badRegions(device))
          await client.refused(Command.REGION_READ, { payload: readOf(region, 0, 4) });
        await client.goesOn();
      },
    },
    {
      name: 'write-no-such-region',
      section: WRITE,
      expects: 'a write to a region that is absent or does not exist is refused, and the session goes on',
      run: async (t) => {
        const { client, device } = await t.open();
        for (const region of badRegions(device))
          await client.refused(Command.REGION_WRITE, { payload: writeOf(region, 0, Buffer.alloc(4)) });
        await client.goesOn();
      },
    },
    {
      name: 'read-write-only',
      section: 'VFIO_USER_DEVICE_GET_REGION_INFO',
      expects: 'a read of a region without read access is refused',
      run: (t) =>
        onEach(
          t,
          (region) => !region.readable,
          (client, { index }) => client.refused(Command.REGION_READ, { payload: readOf(index, 0, 4) }),
        ),
    },
    {
      name: 'write-read-only',
      section: 'VFIO_USER_DEVICE_GET_REGION_INFO',
      expects: 'a write to a region without write access is refused',
      run: (t) =>
        onEach(
          t,
          (region) => !region.writable,
          (client, { index }) => client.refused(Command.REGION_WRITE, { payload: writeOf(index, 0, Buffer.alloc(4)) }),
        ),
    },
    {
      name: 'count-0',
      section: READ,
      expects: 'a read and a write of no bytes are answered',
      run: (t) =>
        onEach(
          t,
          () => true,
          async (client, { index, sizeBytes }) => {
            for (const offset of [0n, sizeBytes, TWO_TO_64 - 1n]) {
              await client.ask(Command.REGION_READ, { payload: readOf(index, offset, 0) });
              await client.ask(Command.REGION_WRITE, { payload: writeOf(index, offset, Buffer.alloc(0)) });
            }
          },
        ),
    },
    {
      name: 'odd-counts',
      section: READ,
      expects: 'reads of 3, 5, 7, 9 and 63 bytes at odd offsets are answered',
      run: (t) =>
        onEach(t, readable, async (client, { index }) => {
          for (const count of [3, 5, 7, 9, 63])
            for (const offset of [0, 1, 3])
              await client.ask(Command.REGION_READ, { payload: readOf(index, offset, count) });
        }),
    },
    {
      name: 'read-beyond-the-limit',
      section: LIMITS,
      expects: 'a read of more than max_data_xfer_size bytes is refused, and the session goes on',
      run: (t) =>
        onEach(t, readable, async (client, { index }, { limits }) => {
          for (const count of [limits.maxTransferBytes + 1, 0x7fff_ffff, 0xffff_ffff])
            await client.refused(Command.REGION_READ, { payload: readOf(index, 0, count) });
        }),
    },
    {
      name: 'write-claims-more',
      section: WRITE,
      expects: 'a write whose count is more than the data it has is refused, and the session goes on',
      run: (t) =>
        onEach(t, writable, async (client, { index }) => {
          for (const count of [5, 8, 4096, 0x7fff_ffff, 0xffff_fff0, 0xffff_ffff])
            await client.refused(Command.REGION_WRITE, { payload: writeOf(index, 0, Buffer.alloc(4), count) });
        }),
    },
    {
      name: 'write-claims-less',
      section: WRITE,
      expects: 'a write whose count is less than the data it has is answered, and does not write more',
      run: async (t) => {
        const { client, device } = await t.open();
        const { index } = device.config;
        const before = await read(client, index, INTERRUPT_LINE, 4);
        const data = Uint8Array.of(before[0]! ^ 0xff, 0x77, 0x77, 0x77);
        await client.ask(Command.REGION_WRITE, { payload: writeOf(index, INTERRUPT_LINE, data, 1) });
        const after = await read(client, index, INTERRUPT_LINE, 4);
        if (!after.subarray(1).equals(before.subarray(1)))
          throw new Unmet(
            `the bytes behind the first one were ${before.toString('hex')}, and are ${after.toString('hex')}`,
          );
      },
    },
    {
      name: 'small-limit-of-the-client',
      section: LIMITS,
      expects: 'a client that takes 4096 bytes at most is served up to that size',
      run: async (t) => {
        const { client, device } = await t.open({ ...PROPOSED, max_data_xfer_size: 4096 });
        const large = device.region(
          ({ sizeBytes, readable }) => readable && sizeBytes >= 8192n,
          'region of 8192 bytes',
        );
        await read(client, large.index, 0, 4096);
        await client.ask(Command.REGION_READ, { payload: readOf(large.index, 0, 8192) });
        await client.goesOn();
      },
    },
    {
      name: 'multi',
      section: MULTI,
      expects: 'several writes in one message are done in order, and the reply has their number',
      run: async (t) => {
        const { client, region } = await multi(t);
        const payload = writeMultiOf([line(region, 1), line(region, 2), line(region, 3)]);
        const reply = await client.accepted(Command.REGION_WRITE_MULTI, { payload });
        if (!reply.payload.equals(longs(3n)))
          throw new Unmet(`the payload of the reply is ${reply.payload.toString('hex')}`);
        await expectLine(client, region, 3);
      },
    },
    {
      name: 'multi-no-reply',
      section: MULTI,
      expects: 'several writes that want no reply are done before the next command',
      run: async (t) => {
        const { client, region } = await multi(t);
        const payload = writeMultiOf(Array.from({ length: 200 }, (_, i) => line(region, i)));
        client.post(Command.REGION_WRITE_MULTI, { flags: HeaderFlag.NO_REPLY, payload });
        await expectLine(client, region, 199);
      },
    },
    {
      name: 'multi-none',
      section: MULTI,
      expects: 'a message of no writes is answered',
      run: async (t) => {
        const { client } = await multi(t);
        await client.ask(Command.REGION_WRITE_MULTI, { payload: writeMultiOf([]) });
        await client.goesOn();
      },
    },
    ...badMultis.map(([name, what, payloadOf]): Case => {
      return {
        name: `multi-${name}`,
        section: MULTI,
        expects: `a message with ${what} is refused, and the session goes on`,
        run: async (t) => {
          const { client, region } = await multi(t);
          await client.refused(Command.REGION_WRITE_MULTI, { payload: payloadOf(region) });
          await client.goesOn();
        },
      };
    }),
    {
      name: 'multi-not-agreed',
      section: 'VFIO_USER_VERSION',
      expects: 'REGION_WRITE_MULTI of a client that has not proposed write_multiple is refused, and nothing is written',
      run: async (t) => {
        const { client, device } = await t.open({ ...PROPOSED, write_multiple: false });
        const { index } = device.config;
        await write(client, index, INTERRUPT_LINE, Uint8Array.of(1));
        await client.refused(Command.REGION_WRITE_MULTI, { payload: writeMultiOf([line(index, 2)]) });
        await expectLine(client, index, 1);
      },
    },
  ],
};
