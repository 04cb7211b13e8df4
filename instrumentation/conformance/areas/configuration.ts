/**
 * Configuration space: the header, both lists of capabilities, the size of BARs, MSI-X.
 *
 * Source: PCI Local Bus Specification 3.0, 6.1, 6.2.5.1, 6.7, 6.8.2; PCI Express Base Specification 5.0, 7.6.3.
 */
import { Command } from '../../../emulator/vfio-user/wire';
import { type Area, type Case } from '../case';
import { type Client } from '../client';
import { type Device, MSIX } from '../device';
import { words } from '../messages';
import { NotApplicable, Unmet } from '../outcome';
import { type Trial } from '../trial';
import { read, write } from './regions';

const COMMAND = 4;
const STATUS = 6;
const CAPABILITY_LIST = 0x10;
const HEADER_TYPE = 0xe;
const FIRST_BAR = 0x10;
const CAPABILITIES_POINTER = 0x34;
const FIRST_CAPABILITY = 0x40;
const FIRST_EXTENDED = 0x100;
const MSIX_CAPABILITY = 0x11;
const BARS = 6;
const MEMORY_ENABLES = 3;

async function config(t: Trial): Promise<Config> {
  const { client, device } = await t.open();
  const { index, sizeBytes } = device.config;
  return {
    device,
    client,
    sizeBytes: Number(sizeBytes),
    read: (offset, count) => read(client, index, offset, count),
    write: (offset, data) => write(client, index, offset, data),
  };
}

interface Config {
  readonly device: Device;
  readonly client: Client;
  readonly sizeBytes: number;
  readonly read: (offset: number, count: number) => Promise<Buffer>;
  readonly write: (offset: number, data: Uint8Array) => Promise<void>;
}

interface Capability {
  readonly id: number;
  readonly at: number;
}

/** Walks the list of capabilities. @throws Unmet if it leaves configuration space or does not end */
async function capabilities({ read: readConfig }: Config): Promise<Capability[]> {
  const status = (await readConfig(STATUS, 2)).readUInt16LE();
  if (!(status & CAPABILITY_LIST)) return [];
  const found: Capability[] = [];
  let at = (await readConfig(CAPABILITIES_POINTER, 1))[0]!;
  while (at !== 0) {
    at &= ~3;
    if (at < FIRST_CAPABILITY) throw new Unmet(`a capability is at 0x${at.toString(16)}, inside the header`);
    if (found.some((each) => each.at === at)) throw new Unmet(`the list comes back to 0x${at.toString(16)}`);
    const [id, next] = await readConfig(at, 2);
    found.push({ id: id!, at });
    at = next!;
  }
  return found;
}

async function msix(t: Trial): Promise<Config & { at: number; vectors: number }> {
  const space = await config(t);
  const found = (await capabilities(space)).find(({ id }) => id === MSIX_CAPABILITY);
  if (found === undefined) throw new NotApplicable('the device has no MSI-X capability');
  const vectors = ((await space.read(found.at + 2, 2)).readUInt16LE() & 0x7ff) + 1;
  return { ...space, at: found.at, vectors };
}

/** Writes ones to BAR `bar`, and returns what it reads then. The BAR is as before afterwards. */
async function sizing(space: Config, bar: number): Promise<{ before: number; mask: number }> {
  const at = FIRST_BAR + 4 * bar;
  const before = (await space.read(at, 4)).readUInt32LE();
  await space.write(at, words(0xffff_ffff));
  const mask = (await space.read(at, 4)).readUInt32LE();
  await space.write(at, words(before));
  return { before, mask };
}

const barSizes: Case = {
  name: 'bar-sizes',
  section: 'PCI 6.2.5.1',
  expects:
    'each BAR to which ones are written shows the size of its region, rounded up to a power of two; its type stays',
  run: async (t) => {
    const space = await config(t);
    const command = await space.read(COMMAND, 2);
    await space.write(COMMAND, Uint8Array.of(command[0]! & ~MEMORY_ENABLES, command[1]!));
    for (let bar = 0; bar < BARS; bar++) {
      const { before, mask } = await sizing(space, bar);
      const isIo = (before & 1) === 1;
      const is64Bit = !isIo && (before & 6) === 4;
      const typeBits = isIo ? 3 : 15;
      if (((before ^ mask) & typeBits) !== 0)
        throw new Unmet(
          `BAR ${bar} reads 0x${mask.toString(16)} after ones, and 0x${before.toString(16)} before: another type`,
        );
      const high = is64Bit ? (await sizing(space, bar + 1)).mask : 0xffff_ffff;
      const bits = (BigInt(high >>> 0) << 32n) | BigInt((mask & ~typeBits) >>> 0);
      const isAbsent = (mask & ~typeBits) === 0 && (!is64Bit || high === 0);
      const sizeBytes = isAbsent ? 0n : BigInt.asUintN(64, -bits);
      const region = space.device.regions[bar]?.sizeBytes ?? 0n;
      if (sizeBytes !== roundedUp(region, isIo ? 4n : 16n))
        throw new Unmet(`BAR ${bar} shows ${sizeBytes} bytes; its region has ${region}`);
      if (is64Bit) bar++;
    }
    await space.write(COMMAND, command);
  },
};

function roundedUp(sizeBytes: bigint, least: bigint): bigint {
  if (sizeBytes === 0n) return 0n;
  let rounded = least;
  while (rounded < sizeBytes) rounded <<= 1n;
  return rounded;
}

export const configuration: Area = {
  name: 'configuration',
  about: 'configuration space: header, capabilities, sizes of BARs, MSI-X',
  cases: [
    {
      name: 'size',
      section: 'PCI 6.1, PCIe 7.2',
      expects: 'configuration space has 256 or 4096 bytes',
      run: async (t) => {
        const { sizeBytes } = await config(t);
        if (sizeBytes !== 256 && sizeBytes !== 4096) throw new Unmet(`it has ${sizeBytes}`);
      },
    },
    {
      name: 'identity',
      section: 'PCI 6.2.1',
      expects: 'the vendor is not 0xffff, which means that there is no function; the header is that of a device',
      run: async (t) => {
        const space = await config(t);
        if ((await space.read(0, 2)).readUInt16LE() === 0xffff) throw new Unmet('the vendor is 0xffff');
        const [type] = await space.read(HEADER_TYPE, 1);
        if ((type! & 0x7f) !== 0) throw new Unmet(`the header type is 0x${type!.toString(16)}`);
      },
    },
    {
      name: 'identity-is-read-only',
      section: 'PCI 6.2.1',
      expects: 'vendor, device, revision and class cannot be written',
      run: async (t) => {
        const space = await config(t);
        for (const at of [0, 8]) {
          const before = await space.read(at, 4);
          await space.write(at, words(~before.readUInt32LE() >>> 0));
          const after = await space.read(at, 4);
          if (!after.equals(before))
            throw new Unmet(`0x${before.toString('hex')} at ${at} has become 0x${after.toString('hex')}`);
        }
      },
    },
    {
      name: 'widths',
      section: 'PCI 6.1',
      expects: 'accesses of 1, 2 and 4 bytes read the same bytes',
      run: async (t) => {
        const space = await config(t);
        for (let at = 0; at < 64; at += 4) {
          const whole = await space.read(at, 4);
          const halves = Buffer.concat([await space.read(at, 2), await space.read(at + 2, 2)]);
          if (!halves.equals(whole))
            throw new Unmet(`at ${at}: ${whole.toString('hex')}, in halves ${halves.toString('hex')}`);
        }
      },
    },
    {
      name: 'capabilities',
      section: 'PCI 6.7',
      expects: 'the list of capabilities stays in configuration space and ends',
      run: async (t) => void (await capabilities(await config(t))),
    },
    {
      name: 'capabilities-once',
      section: 'PCI 6.7',
      expects: 'power management, MSI, MSI-X and PCI Express are in the list once at most',
      run: async (t) => {
        const found = await capabilities(await config(t));
        for (const id of [1, 5, 0x10, MSIX_CAPABILITY]) {
          const number = found.filter((each) => each.id === id).length;
          if (number > 1) throw new Unmet(`capability 0x${id.toString(16)} is there ${number} times`);
        }
      },
    },
    {
      name: 'extended-capabilities',
      section: 'PCIe 7.6.3',
      expects: 'the list of extended capabilities stays in extended configuration space and ends',
      run: async (t) => {
        const space = await config(t);
        if (space.sizeBytes < 4096) throw new NotApplicable('configuration space has no extended part');
        const seen = new Set<number>();
        for (let at = FIRST_EXTENDED; at !== 0;) {
          if (at < FIRST_EXTENDED || at % 4 !== 0) throw new Unmet(`an extended capability is at 0x${at.toString(16)}`);
          if (seen.has(at)) throw new Unmet(`the list comes back to 0x${at.toString(16)}`);
          seen.add(at);
          at = (await space.read(at, 4)).readUInt32LE() >>> 20;
        }
      },
    },
    barSizes,
    {
      name: 'msix-vectors',
      section: 'PCI 6.8.2.3',
      expects: 'the interrupt index of MSI-X has as many vectors as the table',
      run: async (t) => {
        const { device, vectors } = await msix(t);
        const count = device.irqs[MSIX]?.count ?? 0;
        if (count !== vectors) throw new Unmet(`the table has ${vectors}, the index ${count}`);
      },
    },
    {
      name: 'msix-tables',
      section: 'PCI 6.8.2.4, 6.8.2.5',
      expects: 'the MSI-X table and the pending bits lie in a BAR that the device has, and do not overlap',
      run: async (t) => {
        const { device, read: readConfig, at, vectors } = await msix(t);
        const [table, pending] = [
          (await readConfig(at + 4, 4)).readUInt32LE(),
          (await readConfig(at + 8, 4)).readUInt32LE(),
        ];
        const parts = [
          { what: 'the table', bar: table & 7, start: table & ~7, bytes: vectors * 16 },
          { what: 'the pending bits', bar: pending & 7, start: pending & ~7, bytes: Math.ceil(vectors / 64) * 8 },
        ];
        for (const { what, bar, start, bytes } of parts) {
          const region = bar < BARS ? (device.regions[bar]?.sizeBytes ?? 0n) : 0n;
          if (BigInt(start + bytes) > region)
            throw new Unmet(
              `${what} takes ${bytes} bytes at 0x${start.toString(16)} of BAR ${bar}, which has ${region}`,
            );
        }
        const [one, other] = parts as [(typeof parts)[0], (typeof parts)[0]];
        if (one.bar === other.bar && one.start < other.start + other.bytes && other.start < one.start + one.bytes)
          throw new Unmet('they overlap');
      },
    },
    {
      name: 'no-msix-without-capability',
      section: 'PCI 6.8.2',
      expects: 'the interrupt index of MSI-X has vectors only if there is the capability',
      run: async (t) => {
        const space = await config(t);
        const has = (await capabilities(space)).some(({ id }) => id === MSIX_CAPABILITY);
        const count = space.device.irqs[MSIX]?.count ?? 0;
        if (!has && count > 0) throw new Unmet(`there is no capability, and ${count} vectors`);
      },
    },
    {
      name: 'write-everything',
      section: 'Security Considerations',
      expects:
        'all ones, and all zeros, at every offset of configuration space leave the server usable; a reset follows',
      run: async (t) => {
        const { client, device, sizeBytes, write: writeConfig } = await config(t);
        if (!device.resettable) throw new NotApplicable('the device cannot be reset afterwards');
        for (const word of [0xffff_ffff, 0]) {
          for (let at = 0; at < sizeBytes; at += 4) await writeConfig(at, words(word));
        }
        await client.accepted(Command.DEVICE_RESET);
        await client.goesOn();
      },
    },
  ],
};
