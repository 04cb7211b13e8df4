/**
 * DMA maps: right ones, those that overlap, wrap, exceed limits or carry bad descriptors, and their removal.
 *
 * Source: QEMU docs/interop/vfio-user.rst, "VFIO_USER_DMA_MAP", "VFIO_USER_DMA_UNMAP".
 */
import { ftruncateSync } from 'node:fs';
import { Command } from '../../../emulator/vfio-user/wire';
import { type Area, type Case } from '../case';
import { type Client } from '../client';
import { type MapFields, mapOf, messageOf, unmapOf } from '../messages';
import { NotApplicable, Unmet } from '../outcome';
import { type Trial } from '../trial';

const MAP = 'VFIO_USER_DMA_MAP';
const UNMAP = 'VFIO_USER_DMA_UNMAP';
const PAGE = 4096n;
const BASE = 0x1000_0000n;
const TWO_TO_64 = 1n << 64n;
const EEXIST = 17;

const map = (client: Client, fields: MapFields, fds: readonly number[] = []): Promise<unknown> =>
  client.accepted(Command.DMA_MAP, { payload: mapOf(fields), descriptors: fds });
const ask = (client: Client, fields: MapFields, fds: readonly number[] = []): Promise<unknown> =>
  client.ask(Command.DMA_MAP, { payload: mapOf(fields), descriptors: fds });
const refuse = (client: Client, fields: MapFields, fds: readonly number[] = [], errno?: number): Promise<void> =>
  client.refused(Command.DMA_MAP, { payload: mapOf(fields), descriptors: fds }, errno);
const page = (iova: bigint, pages = 1n): MapFields => ({ iova, sizeBytes: pages * PAGE });

async function unmap(client: Client, iova: bigint, sizeBytes: bigint): Promise<void> {
  const request = unmapOf(iova, sizeBytes);
  const { payload } = await client.accepted(Command.DMA_UNMAP, { payload: request });
  if (!payload.subarray(8, 24).equals(request.subarray(8, 24)))
    throw new Unmet(`the reply to DMA_UNMAP does not have address and size of the request: ${payload.toString('hex')}`);
}

/** Ranges that overlap a map of 4 pages at BASE. */
const overlaps: Readonly<Record<string, MapFields>> = {
  same: page(BASE, 4n),
  first: page(BASE),
  last: page(BASE + 3n * PAGE),
  inside: page(BASE + PAGE, 2n),
  around: page(BASE - PAGE, 6n),
  head: page(BASE - PAGE, 2n),
  tail: page(BASE + 3n * PAGE, 2n),
};

const overlapping = Object.entries(overlaps).flatMap(([name, fields]) =>
  [true, false].map((shared): Case => {
    return {
      name: `overlap-${name}${shared ? '' : '-by-message'}`,
      section: MAP,
      expects: `a map over one that is there fails with EEXIST, ${shared ? 'with a file' : 'without a descriptor'}; the first one stays`,
      run: async (t) => {
        const client = await t.session();
        const fds = shared ? [t.memory(Number(8n * PAGE))] : [];
        await map(client, page(BASE, 4n), fds);
        await refuse(client, fields, fds, EEXIST);
        await unmap(client, BASE, 4n * PAGE);
      },
    };
  }),
);

/** Ranges that no address space has. */
const impossible: readonly (readonly [string, string, MapFields])[] = [
  ['empty', 'of no bytes', { iova: BASE, sizeBytes: 0n }],
  ['wrapping', 'that wraps at 2^64', { iova: TWO_TO_64 - PAGE, sizeBytes: 2n * PAGE }],
  ['wrapping-to-0', 'of 2^64 - 1 bytes at 4096', { iova: PAGE, sizeBytes: TWO_TO_64 - 1n }],
  ['wrapping-all', 'of all but a page, at the last page', { iova: TWO_TO_64 - PAGE, sizeBytes: TWO_TO_64 - PAGE }],
];
const impossibleMaps = impossible.map(([name, what, fields]): Case => {
  return {
    name: `map-${name}`,
    section: MAP,
    expects: `a map ${what} is refused, and the session goes on`,
    run: async (t) => {
      const client = await t.session();
      await refuse(client, fields);
      await refuse(client, fields, [t.memory(4096)]);
      await client.goesOn();
    },
  };
});

/** Descriptors that cannot be mapped, or not as they should. */
const badFiles: readonly (readonly [string, string, (t: Trial) => number])[] = [
  ['eventfd', 'an eventfd', (t) => t.eventfd()],
  ['socket', 'a socket', (t) => t.brokenSocket()],
  ['folder', 'a folder', (t) => t.opened('/')],
  ['dev-null', '/dev/null', (t) => t.opened('/dev/null')],
  ['proc', 'a file of /proc', (t) => t.opened('/proc/self/maps')],
  ['read-only', 'a file that is open for reading, as writable memory', (t) => t.opened('/etc/passwd')],
  ['empty', 'a file of no bytes', (t) => t.memory(0)],
  ['short', 'a file that is shorter than the map', (t) => t.memory(100)],
];
const badDescriptors = badFiles.map(([name, what, make]): Case => {
  return {
    name: `descriptor-${name}`,
    section: `${MAP}, Security Considerations`,
    expects: `${what} as memory is answered, and closed`,
    run: async (t) => {
      const client = await t.session();
      await ask(client, page(BASE, 2n), [make(t)]);
      await ask(client, { ...page(BASE + 0x10_0000n), flags: 1 }, [make(t)]);
      await client.ask(Command.DMA_UNMAP, { payload: unmapOf(BASE, 2n * PAGE) });
      await client.goesOn();
    },
  };
});

const offsets: readonly (readonly [string, bigint, bigint])[] = [
  ['unaligned', 1n, PAGE],
  ['at-the-end', 4n * PAGE, PAGE],
  ['across-the-end', 3n * PAGE, 2n * PAGE],
  ['2-63', 1n << 63n, PAGE],
  ['2-64', TWO_TO_64 - PAGE, PAGE],
  ['wrapping', TWO_TO_64 - PAGE, 2n * PAGE],
];
const badOffsets = offsets.map(([name, fileOffset, sizeBytes]): Case => {
  return {
    name: `offset-${name}`,
    section: MAP,
    expects: `an offset of ${fileOffset} into a file of 4 pages, for ${sizeBytes} bytes, is answered`,
    run: async (t) => {
      const client = await t.session();
      await ask(client, { iova: BASE, sizeBytes, fileOffset }, [t.memory(Number(4n * PAGE))]);
      await client.goesOn();
    },
  };
});

export const dma: Area = {
  name: 'dma',
  about: 'maps of client memory: overlaps, borders, limits, bad descriptors',
  cases: [
    {
      name: 'map',
      section: MAP,
      expects: 'memory is mapped with a descriptor and without one; the reply has no payload',
      run: async (t) => {
        const client = await t.session();
        for (const [iova, fds] of [
          [BASE, [t.memory(4096)]],
          [BASE + PAGE, []],
        ] as const) {
          const reply = await client.accepted(Command.DMA_MAP, { payload: mapOf(page(iova)), descriptors: fds });
          if (reply.payload.length > 0) throw new Unmet(`the reply has ${reply.payload.length} bytes of payload`);
        }
      },
    },
    {
      name: 'unmap',
      section: UNMAP,
      expects: 'the reply to an unmap has address and size of the request, and the range can be mapped again',
      run: async (t) => {
        const client = await t.session();
        for (const fds of [[t.memory(4096)], [], [t.memory(4096)]]) {
          await map(client, page(BASE), fds);
          await unmap(client, BASE, PAGE);
        }
      },
    },
    ...[1, 2, 3].map((flags): Case => {
      return {
        name: `flags-${flags}`,
        section: MAP,
        expects: `memory with the flags ${flags} is mapped`,
        run: async (t) => map(await t.session(), { ...page(BASE), flags }, [t.memory(4096)]).then(() => {}),
      };
    }),
    {
      name: 'flags-unusual',
      section: MAP,
      expects: 'flags 0, and flags that are not defined, are answered',
      run: async (t) => {
        const client = await t.session();
        for (const [i, flags] of [0, 4, 7, 0xffff_ffff].entries())
          await ask(client, { ...page(BASE + BigInt(i) * PAGE), flags }, [t.memory(4096)]);
        await client.goesOn();
      },
    },
    {
      name: 'argsz',
      section: MAP,
      expects: 'an argsz that is not the size of the request is answered',
      run: async (t) => {
        const client = await t.session();
        for (const [i, argsz] of [0, 31, 33, 0xffff_ffff].entries())
          await ask(client, { ...page(BASE + BigInt(i) * PAGE), argsz }, [t.memory(4096)]);
        await client.goesOn();
      },
    },
    ...overlapping,
    {
      name: 'adjacent',
      section: MAP,
      expects: 'maps that touch each other do not overlap',
      run: async (t) => {
        const client = await t.session();
        const fds = [t.memory(Number(3n * PAGE))];
        for (const i of [1n, 0n, 2n]) await map(client, { ...page(BASE + i * PAGE), fileOffset: i * PAGE }, fds);
        for (const i of [0n, 1n, 2n]) await unmap(client, BASE + i * PAGE, PAGE);
      },
    },
    ...impossibleMaps,
    {
      name: 'map-last-page',
      section: MAP,
      expects: 'the last page of the address space is answered',
      run: async (t) => {
        const client = await t.session();
        await ask(client, page(TWO_TO_64 - PAGE), [t.memory(4096)]);
        await client.ask(Command.DMA_UNMAP, { payload: unmapOf(TWO_TO_64 - PAGE, PAGE) });
        await client.goesOn();
      },
    },
    {
      name: 'map-all',
      section: MAP,
      expects: 'a map of 2^63 bytes without a descriptor is answered',
      run: async (t) => {
        const client = await t.session();
        await ask(client, { iova: 0n, sizeBytes: 1n << 63n });
        await client.goesOn();
      },
    },
    {
      name: 'map-unaligned',
      section: 'VFIO_USER_VERSION, pgsizes',
      expects: 'addresses and sizes that are no multiples of a page are answered',
      run: async (t) => {
        const client = await t.session();
        const fds = [t.memory(Number(4n * PAGE))];
        for (const [iova, sizeBytes] of [
          [BASE + 1n, PAGE],
          [BASE + 0x10_0000n, 1n],
          [BASE + 0x20_0800n, 4097n],
        ] as const)
          await ask(client, { iova, sizeBytes }, fds);
        await client.goesOn();
      },
    },
    ...badDescriptors,
    {
      name: 'descriptors-too-many',
      section: MAP,
      expects: 'two and more descriptors with one map are answered, and closed',
      run: async (t) => {
        const client = await t.session();
        for (const number of [2, 3, 8])
          await ask(
            client,
            page(BASE),
            Array.from({ length: number }, () => t.memory(4096)),
          );
        await client.goesOn();
      },
    },
    ...badOffsets,
    {
      name: 'large-file',
      section: MAP,
      expects: 'a sparse file of 64 GiB is mapped, or refused, in time',
      run: async (t) => {
        const client = await t.session();
        const sizeBytes = 1n << 36n;
        await ask(client, { iova: 0n, sizeBytes }, [t.memory(Number(sizeBytes))]);
        await client.goesOn();
      },
    },
    {
      name: 'more-than-max-dma-maps',
      section: 'VFIO_USER_VERSION, max_dma_maps',
      expects: 'as many maps as max_dma_maps says are answered, and the next one is refused',
      run: async (t) => {
        const { client, device } = await t.open();
        const most = device.limits.maxDmaMaps;
        if (most > 100_000) throw new NotApplicable(`${most} maps are too many to try`);
        const messages = Array.from({ length: most + 1 }, (_, i) =>
          messageOf({ id: i & 0xffff, command: Command.DMA_MAP, payload: mapOf(page(BigInt(i) * 2n * PAGE)) }),
        );
        client.send(Buffer.concat(messages));
        let refused = 0;
        for (let i = 0; i <= most; i++) {
          const reply = await client.reply(Command.DMA_MAP, i & 0xffff);
          if (reply.isError) refused++;
          if (reply.isError && i < most)
            throw new Unmet(`map ${i + 1} of ${most} was refused with errno ${reply.errno}`);
        }
        if (refused === 0) throw new Unmet(`${most + 1} maps were accepted; max_dma_maps is ${most}`);
        await client.goesOn();
      },
    },
    {
      name: 'unmap-nothing',
      section: UNMAP,
      expects: 'an unmap of what was never mapped is answered',
      run: async (t) => {
        const client = await t.session();
        for (const [iova, size] of [
          [0n, PAGE],
          [BASE, 1n << 40n],
          [TWO_TO_64 - PAGE, PAGE],
        ] as const)
          await client.ask(Command.DMA_UNMAP, { payload: unmapOf(iova, size) });
        await client.goesOn();
      },
    },
    {
      name: 'unmap-wrapping',
      section: UNMAP,
      expects: 'an unmap that wraps at 2^64, or has no bytes, is answered, and removes nothing',
      run: async (t) => {
        const client = await t.session();
        await map(client, page(BASE));
        for (const [iova, size] of [
          [TWO_TO_64 - PAGE, 2n * PAGE],
          [BASE + PAGE, TWO_TO_64 - 1n],
          [BASE, 0n],
        ] as const)
          await client.ask(Command.DMA_UNMAP, { payload: unmapOf(iova, size) });
        await refuse(client, page(BASE), [], EEXIST);
      },
    },
    ...Object.entries({ first: page(BASE), middle: page(BASE + PAGE), last: page(BASE + 3n * PAGE) }).map(
      ([name, { iova, sizeBytes }]): Case => ({
        name: `unmap-part-${name}`,
        section: UNMAP,
        expects: 'an unmap of a part of a map does not match it: it is refused, and the map stays',
        run: async (t) => {
          const client = await t.session();
          await map(client, page(BASE, 4n), [t.memory(Number(4n * PAGE))]);
          await client.refused(Command.DMA_UNMAP, { payload: unmapOf(iova, sizeBytes) });
          await unmap(client, BASE, 4n * PAGE);
        },
      }),
    ),
    {
      name: 'unmap-flags',
      section: UNMAP,
      expects: 'an unmap with flags, which this version does not use, is answered',
      run: async (t) => {
        const client = await t.session();
        for (const flags of [1, 2, 4, 0xffff_ffff]) {
          await client.ask(Command.DMA_UNMAP, { payload: unmapOf(BASE, PAGE, flags) });
          await client.ask(Command.DMA_UNMAP, { payload: unmapOf(0n, 0n, flags) });
        }
        await client.goesOn();
      },
    },
    {
      name: 'unmap-twice',
      section: UNMAP,
      expects: 'a second unmap of the same range is answered',
      run: async (t) => {
        const client = await t.session();
        await map(client, page(BASE), [t.memory(4096)]);
        await unmap(client, BASE, PAGE);
        await client.ask(Command.DMA_UNMAP, { payload: unmapOf(BASE, PAGE) });
        await client.goesOn();
      },
    },
    {
      name: 'survive-reset',
      section: 'VFIO_USER_DEVICE_RESET',
      expects: 'maps are still there after a reset of the device',
      run: async (t) => {
        const client = await t.session();
        await map(client, page(BASE), [t.memory(4096)]);
        await client.ask(Command.DEVICE_RESET);
        await refuse(client, page(BASE), [], EEXIST);
      },
    },
    {
      name: 'gone-with-the-client',
      section: 'Client Disconnection',
      expects: 'the maps of a client that has gone are gone: the next one maps the same addresses',
      run: async (t) => {
        for (let i = 0; i < 3; i++) {
          const client = await t.session();
          await map(client, page(BASE, 2n), i === 1 ? [] : [t.memory(8192)]);
          client.close();
        }
      },
    },
    {
      name: 'file-shrinks',
      section: 'Security Considerations',
      expects: 'a file that the client shortens while it is mapped leaves the server usable',
      run: async (t) => {
        const client = await t.session();
        const fd = t.resizable(Number(4n * PAGE));
        await ask(client, page(BASE, 4n), [fd]);
        ftruncateSync(fd, 0);
        await client.goesOn();
        await client.ask(Command.DMA_UNMAP, { payload: unmapOf(BASE, 4n * PAGE) });
        await client.goesOn();
      },
    },
  ],
};
