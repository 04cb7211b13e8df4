/**
 * What the device says of itself: regions, their capabilities, interrupts.
 *
 * Source: QEMU docs/interop/vfio-user.rst, "VFIO_USER_DEVICE_GET_INFO" and on, "Message sizes".
 */
import { Command, commandName, DeviceFlag, RegionFlag, SparseMmap } from '../../../emulator/vfio-user/wire';
import { type Area, type Case } from '../case';
import { deviceInfoOf, irqInfoOf, regionInfoOf, regionIoFdsOf } from '../messages';
import { NotApplicable, Unmet } from '../outcome';

const INFO = 'VFIO_USER_DEVICE_GET_INFO';
const REGION_INFO = 'VFIO_USER_DEVICE_GET_REGION_INFO';
const IRQ_INFO = 'VFIO_USER_DEVICE_GET_IRQ_INFO';
const SIZES = 'Message sizes';
const FIXED_BYTES = 32;
/** Of a list that does not end. */
const MOST_CAPABILITIES = 100;

const badIndexes = (
  [
    [Command.DEVICE_GET_REGION_INFO, REGION_INFO, regionInfoOf, 'region'],
    [Command.DEVICE_GET_IRQ_INFO, IRQ_INFO, irqInfoOf, 'irq'],
    [Command.DEVICE_GET_REGION_IO_FDS, 'VFIO_USER_DEVICE_GET_REGION_IO_FDS', regionIoFdsOf, 'region-io-fds'],
  ] as const
).map(([command, section, payloadOf, name]): Case => {
  return {
    name: `${name}-beyond-the-last`,
    section,
    expects: `${commandName(command)} of an index that does not exist is refused, and the session goes on`,
    run: async (t) => {
      const { client, device } = await t.open();
      const number = command === Command.DEVICE_GET_IRQ_INFO ? device.irqs.length : device.regions.length;
      for (const index of [number, number + 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff])
        await client.refused(command, { payload: payloadOf(index) });
      await client.goesOn();
    },
  };
});

const smallArgsz = (
  [
    [Command.DEVICE_GET_INFO, INFO, (argsz: number) => deviceInfoOf(argsz)],
    [Command.DEVICE_GET_REGION_INFO, REGION_INFO, (argsz: number) => regionInfoOf(0, argsz)],
    [Command.DEVICE_GET_IRQ_INFO, IRQ_INFO, (argsz: number) => irqInfoOf(0, argsz)],
  ] as const
).map(([command, section, payloadOf]): Case => {
  return {
    name: `argsz-${commandName(command).toLowerCase().replaceAll('_', '-')}`,
    section: `${section}, ${SIZES}`,
    expects: `${commandName(command)} with an argsz of 0, 1, one too few and 2^32 - 1 is answered`,
    run: async (t) => {
      const client = await t.session();
      for (const argsz of [0, 1, 15, 31, 0xffff_ffff]) await client.ask(command, { payload: payloadOf(argsz) });
      await client.goesOn();
    },
  };
});

export const information: Area = {
  name: 'information',
  about: 'the device, its regions with their capabilities, its interrupts',
  cases: [
    {
      name: 'device',
      section: INFO,
      expects: 'the device is a PCI device; argsz is the size of the reply',
      run: async (t) => {
        const client = await t.session();
        const { payload } = await client.accepted(Command.DEVICE_GET_INFO, { payload: deviceInfoOf() });
        if (payload.length < 16) throw new Unmet(`the reply has ${payload.length} bytes; 16 are due`);
        if (payload.readUInt32LE(0) < 16) throw new Unmet(`argsz of the reply is ${payload.readUInt32LE(0)}`);
        if (!(payload.readUInt32LE(4) & DeviceFlag.PCI)) throw new Unmet(`the flags are ${payload.readUInt32LE(4)}`);
      },
    },
    {
      name: 'pci-regions',
      section: INFO,
      expects: 'a PCI device has at least the 9 regions of VFIO',
      run: async (t) => {
        const { regions } = (await t.open()).device;
        if (regions.length < 9) throw new Unmet(`it has ${regions.length}`);
      },
    },
    {
      name: 'regions',
      section: REGION_INFO,
      expects: 'the reply for each region has its index, and no size without a way to access it',
      run: async (t) => {
        const { client, device } = await t.open();
        for (const { index } of device.regions) {
          const { payload } = await client.accepted(Command.DEVICE_GET_REGION_INFO, { payload: regionInfoOf(index) });
          if (payload.readUInt32LE(8) !== index)
            throw new Unmet(`the reply for region ${index} has the index ${payload.readUInt32LE(8)}`);
          if (payload.readUInt32LE(0) < FIXED_BYTES)
            throw new Unmet(`argsz of the reply for region ${index} is ${payload.readUInt32LE(0)}`);
          const isAccessible = (payload.readUInt32LE(4) & (RegionFlag.READ | RegionFlag.WRITE)) !== 0;
          if (payload.readBigUInt64LE(16) > 0n && !isAccessible)
            throw new Unmet(`region ${index} has ${payload.readBigUInt64LE(16)} bytes, neither readable nor writable`);
        }
      },
    },
    {
      name: 'region-capabilities',
      section: `${REGION_INFO}, VFIO region capabilities`,
      expects: 'the list of capabilities of each region lies in the reply and ends',
      run: async (t) => {
        const { client, device } = await t.open();
        for (const { index, argsz } of device.regions) {
          const request = { payload: regionInfoOf(index, Math.max(argsz, FIXED_BYTES)) };
          const { payload } = await client.accepted(Command.DEVICE_GET_REGION_INFO, request);
          if (!(payload.readUInt32LE(4) & RegionFlag.CAPS)) continue;
          checkCapabilities(payload, index);
        }
      },
    },
    {
      name: 'region-capabilities-cut',
      section: SIZES,
      expects:
        'a reply for which argsz is too small names the argsz that is needed, and has no more than was asked for',
      run: async (t) => {
        const { client, device } = await t.open();
        const region = device.region(({ argsz }) => argsz > FIXED_BYTES, 'region with capabilities');
        const request = { payload: regionInfoOf(region.index, FIXED_BYTES) };
        const { payload } = await client.accepted(Command.DEVICE_GET_REGION_INFO, request);
        if (payload.readUInt32LE(0) !== region.argsz || payload.length > FIXED_BYTES)
          throw new Unmet(`argsz is ${payload.readUInt32LE(0)} and the payload has ${payload.length} bytes`);
      },
    },
    {
      name: 'mappable-region',
      section: REGION_INFO,
      expects: 'a region that can be mapped comes with a descriptor, another without one',
      run: async (t) => {
        const { client, device } = await t.open();
        for (const { index, mappable, argsz } of device.regions) {
          const request = { payload: regionInfoOf(index, Math.max(argsz, FIXED_BYTES)) };
          const { descriptors } = await client.accepted(Command.DEVICE_GET_REGION_INFO, request);
          if (descriptors.length > 0 !== mappable)
            throw new Unmet(
              `the reply for region ${index} (mappable: ${mappable}) has ${descriptors.length} descriptors`,
            );
        }
      },
    },
    {
      name: 'interrupts',
      section: IRQ_INFO,
      expects: 'the reply for each interrupt index has its index',
      run: async (t) => {
        const { client, device } = await t.open();
        for (const { index } of device.irqs) {
          const { payload } = await client.accepted(Command.DEVICE_GET_IRQ_INFO, { payload: irqInfoOf(index) });
          if (payload.readUInt32LE(8) !== index)
            throw new Unmet(`the reply for index ${index} has the index ${payload.readUInt32LE(8)}`);
        }
      },
    },
    {
      name: 'region-io-fds',
      section: 'VFIO_USER_DEVICE_GET_REGION_IO_FDS',
      expects: 'the request for descriptors of a region is answered for each region',
      run: async (t) => {
        const { client, device } = await t.open();
        for (const { index } of device.regions)
          await client.ask(Command.DEVICE_GET_REGION_IO_FDS, { payload: regionIoFdsOf(index, 4096) });
        await client.goesOn();
      },
    },
    {
      name: 'reset',
      section: 'VFIO_USER_DEVICE_RESET',
      expects: 'a device that says it can be reset is reset; neither request nor reply has a payload',
      run: async (t) => {
        const { client, device } = await t.open();
        if (!device.resettable) throw new NotApplicable('the device cannot be reset');
        const { payload } = await client.accepted(Command.DEVICE_RESET);
        if (payload.length > 0) throw new Unmet(`the reply has ${payload.length} bytes of payload`);
        await client.goesOn();
      },
    },
    {
      name: 'reset-with-payload',
      section: 'VFIO_USER_DEVICE_RESET',
      expects: 'a reset with a payload, which it does not have, is answered',
      run: async (t) => {
        const client = await t.session();
        await client.ask(Command.DEVICE_RESET, { payload: Buffer.alloc(64) });
        await client.goesOn();
      },
    },
    ...badIndexes,
    ...smallArgsz,
  ],
};

function checkCapabilities(payload: Buffer, index: number): void {
  const seen = new Set<number>();
  for (let at = payload.readUInt32LE(12); at !== 0; at = payload.readUInt32LE(at + 4)) {
    const fail = (why: string): never => {
      throw new Unmet(`region ${index}, capability at ${at}: ${why}`);
    };
    if (at < FIXED_BYTES || at + 8 > payload.length)
      fail(`it is outside of the reply, which has ${payload.length} bytes`);
    if (seen.has(at) || seen.size > MOST_CAPABILITIES) fail('the list does not end');
    seen.add(at);
    if (payload.readUInt16LE(at) !== SparseMmap.CAPABILITY) continue;
    if (at + SparseMmap.HEADER_BYTES > payload.length) fail('it is cut off');
    const areas = payload.readUInt32LE(at + 8);
    const end = at + SparseMmap.HEADER_BYTES + areas * SparseMmap.AREA_BYTES;
    if (end > payload.length) fail(`its ${areas} areas do not fit in the reply, which has ${payload.length} bytes`);
    for (let area = at + SparseMmap.HEADER_BYTES; area < end; area += SparseMmap.AREA_BYTES) {
      const [offset, size] = [payload.readBigUInt64LE(area), payload.readBigUInt64LE(area + 8)];
      if (offset + size > payload.readBigUInt64LE(16))
        fail(`an area of ${size} bytes at ${offset} is outside of the region`);
    }
  }
}
