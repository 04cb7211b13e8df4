/** Version and capabilities. Source: QEMU docs/interop/vfio-user.rst, "VFIO_USER_VERSION", "Connection Initiation". */
import { Command, commandName, HeaderFlag } from '../../../emulator/vfio-user/wire';
import { type Area, type Case } from '../case';
import { type Client } from '../client';
import { capabilitiesIn, limitsOf } from '../device';
import {
  capabilitiesOf,
  deviceInfoOf,
  irqInfoOf,
  mapOf,
  messageOf,
  readOf,
  regionInfoOf,
  setIrqsOf,
  unmapOf,
  versionOf,
  writeMultiOf,
  writeOf,
} from '../messages';
import { Unmet } from '../outcome';
import { PROPOSED, type Trial } from '../trial';

const VERSION = 'VFIO_USER_VERSION';

/** Proposes, and returns the payload of the reply, which must be a success. */
async function propose(client: Client, payload: Buffer): Promise<Buffer> {
  const reply = await client.accepted(Command.VERSION, { payload });
  limitsOf(reply.payload);
  return reply.payload;
}

const accepts = (name: string, what: string, payload: Buffer): Case => ({
  name,
  section: VERSION,
  expects: `${what} is accepted, and the session begins`,
  run: async (t) => {
    const client = await t.connect();
    const reply = await propose(client, payload);
    if (reply.readUInt16LE(0) !== 0) throw new Unmet(`the reply has the major version ${reply.readUInt16LE(0)}`);
    await client.goesOn();
  },
});

const doesNotAccept = (name: string, what: string, payload: Buffer): Case => ({
  name,
  section: VERSION,
  expects: `${what} is not accepted: an error reply, or the end of the connection`,
  run: async (t) => (await t.connect()).notAccepted(Command.VERSION, { payload }),
});

/** What may be accepted or not: the server must survive it. */
const survives = (name: string, what: string, payload: Buffer): Case => ({
  name,
  section: VERSION,
  expects: `${what} is answered or ends the connection; the server goes on`,
  run: async (t) => {
    const client = await t.connect();
    client.post(Command.VERSION, { payload });
    if ((await client.arrival()) === undefined)
      throw new Unmet(`neither a reply nor the end of the connection within ${t.timeoutMs} ms`);
  },
});

/** What the reply may have only if it was proposed. */
const onlyIfProposed = (name: string, capability: string): Case => ({
  name,
  section: VERSION,
  expects: `${capability} is not in the reply to a client that has not proposed it`,
  run: async (t) => {
    const client = await t.connect();
    const reply = await propose(client, versionOf(capabilitiesOf({ max_msg_fds: 1 })));
    const value = capabilitiesIn(reply)[capability];
    if (value !== undefined && value !== false)
      throw new Unmet(`the reply has ${capability}: ${JSON.stringify(value)}`);
  },
});

/** Each command as it would be right in a session. */
const COMMANDS: readonly (readonly [number, Buffer])[] = [
  [Command.DMA_MAP, mapOf({ iova: 0n, sizeBytes: 4096n })],
  [Command.DMA_UNMAP, unmapOf(0n, 4096n)],
  [Command.DEVICE_GET_INFO, deviceInfoOf()],
  [Command.DEVICE_GET_REGION_INFO, regionInfoOf(0)],
  [Command.DEVICE_GET_IRQ_INFO, irqInfoOf(0)],
  [Command.DEVICE_SET_IRQS, setIrqsOf({ flags: 0x21, index: 0, count: 0 })],
  [Command.REGION_READ, readOf(7, 0, 4)],
  [Command.REGION_WRITE, writeOf(7, 0x3c, Uint8Array.of(0))],
  [Command.DEVICE_RESET, Buffer.alloc(0)],
  [Command.REGION_WRITE_MULTI, writeMultiOf([{ region: 7, offset: 0x3c, data: Uint8Array.of(0) }])],
];

const mustComeFirst = COMMANDS.map(([command, payload]): Case => ({
  name: `first-${slug(command)}`,
  section: VERSION,
  expects: `${commandName(command)} before VERSION is not executed: an error reply, or the end of the connection`,
  run: async (t) => (await t.connect()).notAccepted(command, { payload }),
}));

function slug(command: number): string {
  return commandName(command).toLowerCase().replaceAll(/[ _]/g, '-');
}

const capability = (name: string, what: string, value: unknown, of = 'max_data_xfer_size'): Case =>
  survives(name, `a capability ${of} that is ${what}`, versionOf(capabilitiesOf({ ...PROPOSED, [of]: value })));

const limits = ['max_msg_fds', 'max_data_xfer_size', 'max_dma_maps', 'pgsizes'];

export const negotiation: Area = {
  name: 'negotiation',
  about: 'version and capabilities, good and bad',
  cases: [
    accepts('as-qemu', 'what QEMU proposes', versionOf(capabilitiesOf(PROPOSED))),
    accepts('no-version-data', 'a version without version data', versionOf(undefined)),
    accepts('empty-version-data', 'version data that is only a NUL', versionOf('')),
    accepts('no-capabilities', 'version data without capabilities', versionOf('{}')),
    accepts('empty-capabilities', 'an empty list of capabilities', versionOf(capabilitiesOf({}))),
    accepts(
      'unknown-capability',
      'a capability that nobody knows',
      versionOf(capabilitiesOf({ ...PROPOSED, 'no-such-capability': { of: ['any', 1, null] } })),
    ),
    accepts(
      'unknown-version-data',
      'version data beside the capabilities',
      versionOf('{"capabilities":{},"more":[1]}'),
    ),
    accepts(
      'white-space',
      'version data with white space',
      versionOf(JSON.stringify({ capabilities: PROPOSED }, null, 4)),
    ),
    ...[1, 2, 0xffff].map((minor): Case => {
      return {
        name: `minor-${minor}`,
        section: VERSION,
        expects: `a proposed version 0.${minor} is answered with a minor version that is not higher`,
        run: async (t) => {
          const reply = await propose(await t.connect(), versionOf(capabilitiesOf(PROPOSED), 0, minor));
          if (reply.readUInt16LE(0) !== 0 || reply.readUInt16LE(2) > minor)
            throw new Unmet(`the reply has the version ${reply.readUInt16LE(0)}.${reply.readUInt16LE(2)}`);
        },
      };
    }),
    {
      name: 'limits-are-usable',
      section: VERSION,
      expects: 'the limits in the reply are positive numbers',
      run: async (t) => {
        const capabilities = capabilitiesIn(await propose(await t.connect(), versionOf(capabilitiesOf(PROPOSED))));
        for (const name of limits) {
          const value = capabilities[name];
          if (value !== undefined && !(typeof value === 'number' && value > 0))
            throw new Unmet(`the reply has ${name}: ${JSON.stringify(value)}`);
        }
      },
    },
    onlyIfProposed('write-multiple-not-proposed', 'write_multiple'),
    onlyIfProposed('twin-socket-not-proposed', 'twin_socket'),
    onlyIfProposed('migration-not-proposed', 'migration'),
    {
      name: 'twin-socket',
      section: `${VERSION}, Reply`,
      expects: 'a client that proposes twin_socket gets a descriptor for the second socket, or not the capability',
      run: async (t) => {
        const client = await t.connect();
        const payload = versionOf(capabilitiesOf({ ...PROPOSED, twin_socket: { supported: true } }));
        const reply = await client.accepted(Command.VERSION, { payload });
        const twin = capabilitiesIn(reply.payload)['twin_socket'] as
          { supported?: unknown; fd_index?: unknown } | undefined;
        if (twin?.supported !== true) return client.goesOn();
        if (typeof twin.fd_index !== 'number' || reply.descriptors[twin.fd_index] === undefined)
          throw new Unmet(`twin_socket is ${JSON.stringify(twin)}, with ${reply.descriptors.length} descriptors`);
      },
    },
    ...[1, 2, 0xffff].map((major) =>
      doesNotAccept(`major-${major}`, `version ${major}.0`, versionOf(capabilitiesOf(PROPOSED), major)),
    ),
    ...[0, 1, 2, 3].map((bytes) =>
      doesNotAccept(`payload-of-${bytes}`, `a VERSION with ${bytes} bytes of payload`, Buffer.alloc(bytes)),
    ),
    survives('no-nul', 'version data without its NUL', versionOf(Buffer.from(capabilitiesOf(PROPOSED)))),
    survives('behind-the-nul', 'bytes behind the NUL', versionOf(`${capabilitiesOf(PROPOSED)}\0{"x":`)),
    survives('cut-json', 'JSON that is cut off', versionOf(capabilitiesOf(PROPOSED).slice(0, -3))),
    survives('no-json', 'version data that is no JSON', versionOf('max_msg_fds=8')),
    survives('no-utf-8', 'version data that is not UTF-8', versionOf(Buffer.from('7b22ff80fe223a317d00', 'hex'))),
    ...['[]', '1', '"text"', 'null', 'true'].map((text) =>
      survives(
        `json-${JSON.stringify(JSON.parse(text)).replaceAll(/\W/g, '') || 'array'}`,
        `version data ${text}`,
        versionOf(text),
      ),
    ),
    ...['[]', '1', '"text"', 'null'].map((text) =>
      survives(
        `capabilities-${text.replaceAll(/\W/g, '') || 'array'}`,
        `capabilities that are ${text}`,
        versionOf(`{"capabilities":${text}}`),
      ),
    ),
    capability('limit-zero', '0', 0),
    capability('limit-negative', 'negative', -1),
    capability('limit-fraction', 'a fraction', 4096.5),
    capability('limit-text', 'text', '1048576'),
    capability('limit-null', 'null', null),
    capability('limit-array', 'an array', [1]),
    capability('limit-2-64', '2^64', 2 ** 64),
    capability('no-descriptors', '0', 0, 'max_msg_fds'),
    capability('descriptors-of-text', 'text', 'many', 'max_msg_fds'),
    capability('write-multiple-of-text', 'text', 'yes', 'write_multiple'),
    capability('twin-socket-of-number', 'a number', 1, 'twin_socket'),
    survives('huge-number', 'a number beyond any type', versionOf('{"capabilities":{"max_msg_fds":1e999}}')),
    survives(
      'same-name-twice',
      'a capability that is there twice',
      versionOf('{"capabilities":{"max_msg_fds":8,"max_msg_fds":1}}'),
    ),
    survives(
      'prototype',
      'a capability called __proto__',
      versionOf('{"capabilities":{"__proto__":{"max_msg_fds":8}}}'),
    ),
    ...[100, 10_000, 100_000].map((depth) =>
      survives(`nested-${depth}`, `JSON nested ${depth} deep`, versionOf('['.repeat(depth) + ']'.repeat(depth))),
    ),
    survives(
      'limit-nested',
      'a capability that is nested 100,000 deep',
      versionOf(`{"capabilities":{"max_msg_fds":${'['.repeat(100_000)}${']'.repeat(100_000)}}}`),
    ),
    survives('long-text', 'a capability of 60,000 characters', versionOf(capabilitiesOf({ text: 'x'.repeat(60_000) }))),
    survives('many-capabilities', '10,000 capabilities', versionOf(capabilitiesOf(manyCapabilities()))),
    ...mustComeFirst,
    {
      name: 'twice',
      section: VERSION,
      expects: 'a second VERSION is answered or ends the connection',
      run: async (t) => {
        const client = await t.session();
        client.post(Command.VERSION, { payload: versionOf(capabilitiesOf(PROPOSED)) });
        if ((await client.arrival()) === undefined) throw new Unmet('neither a reply nor the end of the connection');
      },
    },
    {
      name: 'no-reply-flag',
      section: 'Header',
      expects: 'a VERSION that wants no reply leaves the server usable',
      run: async (t) => {
        const client = await t.connect();
        client.post(Command.VERSION, { flags: HeaderFlag.NO_REPLY, payload: versionOf(capabilitiesOf(PROPOSED)) });
        await client.settled();
      },
    },
    {
      name: 'with-descriptors',
      section: VERSION,
      expects: 'a VERSION with descriptors is answered or ends the connection; the descriptors are closed',
      run: async (t) => {
        const client = await t.connect();
        client.post(Command.VERSION, { payload: versionOf(capabilitiesOf(PROPOSED)), descriptors: t.eventfds(3) });
        if ((await client.arrival()) === undefined) throw new Unmet('neither a reply nor the end of the connection');
      },
    },
    {
      name: 'commands-behind-it',
      section: 'Command Concurrency',
      expects: 'commands that are sent right behind VERSION, without waiting for its reply, are answered in order',
      run: async (t: Trial) => {
        const client = await t.connect();
        const payload = versionOf(capabilitiesOf(PROPOSED));
        const info = { command: Command.DEVICE_GET_INFO, payload: deviceInfoOf() };
        client.send(
          Buffer.concat([messageOf({ id: 7, command: Command.VERSION, payload }), messageOf({ ...info, id: 8 })]),
        );
        await client.reply(Command.VERSION, 7);
        await client.reply(Command.DEVICE_GET_INFO, 8);
      },
    },
    {
      name: 'behind-a-refusal',
      section: VERSION,
      expects: 'a command behind a VERSION of another major version is not executed',
      run: async (t) => {
        const client = await t.connect();
        client.post(Command.VERSION, { payload: versionOf(undefined, 9) });
        const id = client.post(Command.DEVICE_GET_INFO, { payload: deviceInfoOf() });
        for (;;) {
          const arrival = await client.arrival();
          if (arrival === undefined || 'ended' in arrival) return;
          if (arrival.id === id && !arrival.isError) throw new Unmet('DEVICE_GET_INFO was accepted');
        }
      },
    },
  ],
};

function manyCapabilities(): object {
  return Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`capability-${i}`, i]));
}
