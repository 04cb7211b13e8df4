/**
 * (d), (e) Latencies for a driver in a guest: register accesses and interrupts of the reference card, against those of a
 * device inside QEMU (`edu`) in the same guest. Two reference cards: one without and one with a BAR mapping, which makes
 * QEMU wait for every write to its registers.
 */
import { type ReferenceCardOptions, ReferenceCard } from '../../emulator/cards/reference';
import { type CardFactory } from '../../instrumentation/served-card';
import { provision } from '../../qemu/provision';
import { Rig } from '../../qemu/rig';
import { APP_TIMEOUT_MS, type Benchmark, type BenchmarkContext, gcBench, nsToUs } from './benchmark';
import { type Figure, figure, type FigureDefinition, type Round } from './figure';

/** After all devices of the guest itself. */
const EDU_SLOT = '0x1d';
const EDU_ADDRESS = '0000:00:1d.0';

const UIO = 'uio_pci_generic';
const VFIO = 'vfio-pci';

/** Arguments of gc-bench without the address, and whose address it is. */
interface Command {
  readonly device: 'plain' | 'mapped' | 'edu';
  readonly kind: 'access' | 'interrupt';
  readonly args: readonly string[];
  readonly samples: number;
  readonly tail?: string;
}

interface Case {
  readonly definition: FigureDefinition;
  readonly subject: Command;
  readonly floor: Command;
}

/** Registers of the card (SCRATCH, which holds what is written) and of edu (identification; liveness). */
const access = (device: Command['device'], what: 'read' | 'write', bar: 0 | 2 = 0): Command => {
  const offset = bar === 2 ? 0 : device !== 'edu' ? 0x0c : what === 'read' ? 0x00 : 0x04;
  const isMemory = device === 'mapped' && bar === 2;
  return {
    device,
    kind: 'access',
    args: [String(bar), String(offset), what],
    samples: device === 'edu' ? 2000 : 400,
    ...(isMemory && { tail: '1000' }),
  };
};

const interrupt = (device: Command['device'], source: string, mode: string): Command => ({
  device,
  kind: 'interrupt',
  args: [source],
  samples: device === 'edu' ? 500 : 400,
  tail: mode,
});

const eduAccess = { read: access('edu', 'read'), write: access('edu', 'write') };
const accessCase = (name: string, subject: Command, what: 'read' | 'write', note?: string): Case => ({
  definition: { group: 'd', name: `guest ${name}`, unit: 'us', floorName: `edu ${what}`, ...(note && { note }) },
  subject,
  floor: eduAccess[what],
});

const accessCases: readonly Case[] = [
  accessCase('BAR0 read', access('plain', 'read'), 'read'),
  accessCase('BAR0 write, posted', access('plain', 'write'), 'write'),
  accessCase('BAR2 read', access('plain', 'read', 2), 'read'),
  accessCase('BAR2 write, posted', access('plain', 'write', 2), 'write'),
  accessCase('BAR0 read, mapped BAR2 on offer', access('mapped', 'read'), 'read'),
  accessCase('BAR0 write, mapped BAR2 on offer', access('mapped', 'write'), 'write', 'QEMU waits for the reply'),
  accessCase('mapped BAR2 read', access('mapped', 'read', 2), 'read', 'no exit at all'),
  accessCase('mapped BAR2 write', access('mapped', 'write', 2), 'write', 'no exit at all'),
];

const interruptCase = (name: string, device: 'plain' | 'mapped', source: string, modes: [string, string]): Case => ({
  definition: { group: 'e', name: `guest ${name}`, unit: 'us', floorName: `edu, ${modes[1]}` },
  subject: interrupt(device, source, modes[0]),
  floor: interrupt('edu', 'edu', modes[1]),
});

const interruptCases: Readonly<Record<string, readonly Case[]>> = {
  [UIO]: [
    interruptCase('doorbell to handler, UIO, INTx', 'plain', 'doorbell', ['intx', 'intx']),
    interruptCase('IRQ_TRIGGER to handler, UIO, INTx', 'plain', 'trigger', ['intx', 'intx']),
  ],
  [VFIO]: [
    interruptCase('doorbell to handler, VFIO, MSI-X', 'plain', 'doorbell', ['msix', 'msi']),
    interruptCase('IRQ_TRIGGER to handler, VFIO, MSI-X', 'plain', 'trigger', ['msix', 'msi']),
    interruptCase('doorbell, VFIO, mapped BAR2 on offer', 'mapped', 'doorbell', ['msix', 'msi']),
  ],
};

async function run({ quick, say }: BenchmarkContext): Promise<Figure[]> {
  const make = (options: ReferenceCardOptions): CardFactory => {
    return (environment) => new ReferenceCard({ ...environment, ...options });
  };
  await using rig = await Rig.start({
    provisioned: await provision(),
    memoryMiB: 256,
    hostRoot: false,
    cards: [
      { name: 'plain', make: make({}) },
      { name: 'mapped', make: make({ mapMemory: true }) },
    ],
    extraQemuArgs: ['-device', `edu,bus=pcie.0,addr=${EDU_SLOT}`],
  });
  const rounds = quick ? 1 : 5;
  const figures: Figure[] = [];
  for (const driver of [UIO, VFIO]) {
    say(`guest: ${driver}`);
    const addresses = await bindAll(rig, driver);
    const cases = [...(driver === UIO ? accessCases : []), ...interruptCases[driver]!];
    figures.push(...(await measureAll(rig, cases, addresses, rounds, quick)));
  }
  return figures;
}

type Addresses = Readonly<Record<Command['device'], string>>;

async function bindAll(rig: Rig, driver: string): Promise<Addresses> {
  const { pciAddress: plain } = await rig.bind('plain', driver);
  const { pciAddress: mapped } = await rig.bind('mapped', driver);
  const bound = await rig.guest.run(['ghostcard-bind', EDU_ADDRESS, driver], { timeoutMs: APP_TIMEOUT_MS });
  if (bound.exitCode !== 0) throw new Error(`edu could not be bound to ${driver}: ${String(bound.stderr).trim()}`);
  return { plain, mapped, edu: EDU_ADDRESS };
}

/** Rounds over all cases, so that other load of the machine affects all of them alike. */
async function measureAll(
  rig: Rig,
  cases: readonly Case[],
  addresses: Addresses,
  rounds: number,
  quick: boolean,
): Promise<Figure[]> {
  const measured = new Map<Case, Round[]>(cases.map((one) => [one, []]));
  for (let round = 0; round < rounds; round++) {
    for (const one of cases) {
      const floor = await measure(rig, one.floor, addresses, quick);
      const subject = await measure(rig, one.subject, addresses, quick);
      measured.get(one)!.push({ subject, floor });
    }
  }
  return cases.map((one) => figure(one.definition, measured.get(one)!));
}

/** Median in microseconds. */
async function measure(rig: Rig, command: Command, addresses: Addresses, quick: boolean): Promise<number> {
  const { kind, device, args, samples, tail } = command;
  const count = String(quick ? Math.ceil(samples / 10) : samples);
  const argv = [kind, addresses[device], ...args, count, ...(tail === undefined ? [] : [tail])];
  return nsToUs((await gcBench(rig, argv)).p50);
}

export const guest: Benchmark = { groups: ['d', 'e'], title: 'register accesses and interrupts in a guest', run };
