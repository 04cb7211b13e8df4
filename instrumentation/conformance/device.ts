/**
 * What a well-formed client learns of a server: the agreed limits, regions and interrupts. The cases choose their
 * messages by it.
 *
 * Source: QEMU docs/interop/vfio-user.rst; Linux include/uapi/linux/vfio.h.
 */
import { Command, DeviceFlag, IrqFlag, RegionFlag } from '../../emulator/vfio-user/wire';
import { type Client } from './client';
import { deviceInfoOf, irqInfoOf, regionInfoOf } from './messages';
import { NotApplicable, Unmet } from './outcome';

/** The server's limits, with the defaults of the specification for what it leaves out. */
export interface Limits {
  readonly maxMessageDescriptors: number;
  readonly maxTransferBytes: number;
  readonly maxDmaMaps: number;
  readonly writeMultiple: boolean;
}

export interface Region {
  readonly index: number;
  readonly sizeBytes: bigint;
  readonly readable: boolean;
  readonly writable: boolean;
  readonly mappable: boolean;
  /** Of the full reply, in bytes. */
  readonly argsz: number;
}

export interface IrqIndex {
  readonly index: number;
  readonly count: number;
  readonly eventfd: boolean;
  readonly maskable: boolean;
}

/** VFIO's numbers for a PCI device. */
export const CONFIG_REGION = 7;
export const INTX = 0;
export const MSIX = 2;
/** More than this, and it is hardly meant. */
const MOST_INDEXES = 1024;

export class Device {
  constructor(
    readonly limits: Limits,
    readonly flags: number,
    readonly regions: readonly Region[],
    readonly irqs: readonly IrqIndex[],
  ) {}

  get resettable(): boolean {
    return (this.flags & DeviceFlag.RESET) !== 0;
  }

  /** @throws NotApplicable */
  get config(): Region {
    return this.region(({ index, sizeBytes }) => index === CONFIG_REGION && sizeBytes > 0n, 'configuration space');
  }

  /** @throws NotApplicable if the device has none */
  region(wanted: (region: Region) => boolean, what: string): Region {
    const found = this.regions.find(wanted);
    if (found === undefined) throw new NotApplicable(`the device has no ${what}`);
    return found;
  }

  /** @throws NotApplicable if the device has none */
  irq(wanted: (irq: IrqIndex) => boolean, what: string): IrqIndex {
    const found = this.irqs.find(wanted);
    if (found === undefined) throw new NotApplicable(`the device has no ${what}`);
    return found;
  }
}

/** The version data of a reply; undefined if it has none. @throws Unmet */
export function versionDataOf(payload: Buffer): Record<string, unknown> | undefined {
  if (payload.length < 4) throw new Unmet(`the reply to VERSION has ${payload.length} bytes; its version alone has 4`);
  if (payload.length === 4) return undefined;
  if (payload.at(-1) !== 0) throw new Unmet('the version data of the reply does not end in NUL');
  const text = payload.subarray(4, -1).toString('utf8');
  if (text === '') return undefined;
  try {
    const data: unknown = JSON.parse(text);
    if (isObject(data)) return data;
  } catch {
    // said below
  }
  throw new Unmet(`the version data of the reply is not a JSON object: ${text.slice(0, 200)}`);
}

export function capabilitiesIn(payload: Buffer): Record<string, unknown> {
  const capabilities = versionDataOf(payload)?.capabilities ?? {};
  if (isObject(capabilities)) return capabilities;
  throw new Unmet(`the capabilities of the reply are not an object: ${JSON.stringify(capabilities).slice(0, 200)}`);
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export function limitsOf(payload: Buffer): Limits {
  const capabilities = capabilitiesIn(payload);
  const number = (name: string, otherwise: number): number => {
    const value = capabilities[name];
    if (value === undefined) return otherwise;
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
    throw new Unmet(`the capability ${name} of the reply is ${JSON.stringify(value)}, which is no number of things`);
  };
  return {
    maxMessageDescriptors: number('max_msg_fds', 1),
    maxTransferBytes: number('max_data_xfer_size', 1048576),
    maxDmaMaps: number('max_dma_maps', 65535),
    writeMultiple: capabilities['write_multiple'] === true,
  };
}

/** Asks a negotiated session for all that it has. @throws Unmet */
export async function learn(client: Client, limits: Limits): Promise<Device> {
  const { payload } = await client.accepted(Command.DEVICE_GET_INFO, { payload: deviceInfoOf() });
  const info = atLeast(payload, 16, 'DEVICE_GET_INFO');
  const [flags, regionCount, irqCount] = [4, 8, 12].map((at) => info.readUInt32LE(at)) as [number, number, number];
  if (regionCount > MOST_INDEXES || irqCount > MOST_INDEXES)
    throw new Unmet(`the device says that it has ${regionCount} regions and ${irqCount} interrupt indexes`);
  const regions: Region[] = [];
  for (let index = 0; index < regionCount; index++) regions.push(await regionOf(client, index));
  const irqs: IrqIndex[] = [];
  for (let index = 0; index < irqCount; index++) {
    const reply = await client.accepted(Command.DEVICE_GET_IRQ_INFO, { payload: irqInfoOf(index) });
    const irq = atLeast(reply.payload, 16, 'DEVICE_GET_IRQ_INFO');
    const irqFlags = irq.readUInt32LE(4);
    irqs.push({
      index,
      count: irq.readUInt32LE(12),
      eventfd: (irqFlags & IrqFlag.EVENTFD) !== 0,
      maskable: (irqFlags & IrqFlag.MASKABLE) !== 0,
    });
  }
  return new Device(limits, flags, regions, irqs);
}

async function regionOf(client: Client, index: number): Promise<Region> {
  const reply = await client.accepted(Command.DEVICE_GET_REGION_INFO, { payload: regionInfoOf(index) });
  const region = atLeast(reply.payload, 32, 'DEVICE_GET_REGION_INFO');
  const flags = region.readUInt32LE(4);
  return {
    index,
    sizeBytes: region.readBigUInt64LE(16),
    readable: (flags & RegionFlag.READ) !== 0,
    writable: (flags & RegionFlag.WRITE) !== 0,
    mappable: (flags & RegionFlag.MMAP) !== 0,
    argsz: region.readUInt32LE(0),
  };
}

function atLeast(payload: Buffer, sizeBytes: number, command: string): Buffer {
  if (payload.length >= sizeBytes) return payload;
  throw new Unmet(`the reply to ${command} has ${payload.length} bytes; at least ${sizeBytes} are due`);
}
