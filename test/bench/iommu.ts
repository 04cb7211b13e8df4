/**
 * (m) Map and unmap behind the virtual IOMMU: a page is moved to the card and mapped for just this transfer, as Linux's DMA
 * API does and dmatest with it, against the same transfer in a guest without an IOMMU.
 */
import { ReferenceCard } from '../../emulator/cards/reference';
import { type Provisioned, provision } from '../../qemu/provision';
import { Rig } from '../../qemu/rig';
import { type Benchmark, type BenchmarkContext, gcBench, nsToUs } from './benchmark';
import { type Figure, figure, type Round } from './figure';

const NAME = 'reference';

const startRig = (provisioned: Provisioned, iommu: boolean): Promise<Rig> =>
  Rig.start({
    ...{ provisioned, iommu, memoryMiB: 512, hostRoot: false },
    cards: [{ name: NAME, driver: 'vfio-pci', make: (environment) => new ReferenceCard(environment) }],
  });

async function run({ quick }: BenchmarkContext): Promise<Figure[]> {
  const provisioned = await provision();
  await using behind = await startRig(provisioned, true);
  await using without = await startRig(provisioned, false);
  const measure = async (rig: Rig): Promise<number> => {
    const argv = ['transfer', await rig.guest.pciAddressOf(NAME), quick ? '40' : '400'];
    return nsToUs((await gcBench(rig, argv)).p50);
  };
  const rounds: Round[] = [];
  for (let round = 0; round < (quick ? 1 : 9); round++) {
    rounds.push({ floor: await measure(without), subject: await measure(behind) });
  }
  const name = 'guest map, DMA of 4 KiB, interrupt, unmap; IOMMU';
  const goal = { kind: 'at-most', ratio: 2 } as const;
  return [figure({ group: 'm', name, unit: 'us', floorName: 'without an IOMMU', goal }, rounds)];
}

export const iommu: Benchmark = { groups: ['m'], title: 'DMA behind an IOMMU', run };
