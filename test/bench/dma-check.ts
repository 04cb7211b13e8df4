/**
 * (o) What it costs to look for DMA races: processor time of QEMU for the same command of the same guest, against one that
 * is not looked at. Once a program that moves much data with a card, once one that only computes.
 */
import { readFileSync } from 'node:fs';
import { ReferenceCard } from '../../emulator/cards/reference';
import { GUEST_ARCHES, type GuestArch, provision } from '../../qemu/provision';
import { Rig } from '../../qemu/rig';
import { type Benchmark, type BenchmarkContext } from './benchmark';
import { type Figure, figure, type Round } from './figure';

const NAME = 'reference';

const startRig = async (guestArch: GuestArch, checkDma: boolean): Promise<Rig> =>
  Rig.start({
    ...{ provisioned: await provision({ guestArch }), checkDma, hostRoot: false },
    cards: [{ name: NAME, driver: 'vfio-pci', make: (environment) => new ReferenceCard(environment) }],
  });

/** Of a process with its threads, in clock ticks (proc(5): utime and stime). */
function ticksOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
  return Number(fields[11]) + Number(fields[12]);
}

async function ticksFor({ guest }: Rig, argv: readonly string[]): Promise<number> {
  const before = ticksOf(guest.pid);
  const { exitCode, stderr } = await guest.run(argv);
  if (exitCode !== 0) throw new Error(`${argv.join(' ')} failed: ${String(stderr)}`);
  return ticksOf(guest.pid) - before;
}

async function run({ quick }: BenchmarkContext): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const arch of GUEST_ARCHES) {
    await using checked = await startRig(arch, true);
    await using plain = await startRig(arch, false);
    const programs = {
      'much DMA (gc-crc)': async (rig: Rig) => ['gc-crc', '--device', await rig.guest.pciAddressOf(NAME)],
      'only computing (sha256sum)': () => ['sh', '-c', `head -c ${quick ? 4 : 8}000000 /dev/zero | sha256sum`],
    };
    for (const [what, argvOf] of Object.entries(programs)) {
      const rounds: Round[] = [];
      for (let round = 0; round < (quick ? 2 : 11); round++) {
        const floor = await ticksFor(plain, await argvOf(plain));
        rounds.push({ floor, subject: await ticksFor(checked, await argvOf(checked)) });
      }
      const name = `guest of ${arch}, ${what}: QEMU's processor time`;
      const goal = { kind: 'at-most', ratio: 2 } as const;
      figures.push(figure({ group: 'o', name, unit: 'ticks', floorName: 'without --check dma', goal }, rounds));
    }
  }
  return figures;
}

export const dmaCheck: Benchmark = { groups: ['o'], title: 'looking for DMA races', run };
