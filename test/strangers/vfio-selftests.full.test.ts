/** Linux' selftests of VFIO, with the driver of I/OAT that they bring along, in a guest with an IOMMU. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { IoatCard, type IoatCardOptions } from '../../emulator/cards/ioat';
import { kernelSourceTree } from '../support/packages/kernel-source';
import { installProgram, startRig } from '../support/rig';
import { expectProven } from './proven';

const OWN = join(__dirname, 'vfio-selftests');
const MODES = ['vfio_type1_iommu', 'vfio_type1v2_iommu'];
const PAGES = ['', '_anonymous', '_anonymous_hugetlb_2mb', '_anonymous_hugetlb_1gb'];
/** Of tests that take a mode of the IOMMU: the modes that a kernel without IOMMUFD has. */
const VARIANTS = MODES.flatMap((mode) => PAGES.flatMap((pages) => ['-v', `${mode}${pages}`]));
interface Selftest {
  readonly name: string;
  readonly variants?: readonly string[];
  readonly count: number;
  readonly fail?: readonly string[];
}
const TESTS: readonly Selftest[] = [
  { name: 'vfio_pci_device_test', count: 5 },
  {
    ...{ name: 'vfio_dma_mapping_test', variants: VARIANTS, count: 12 },
    /** They want EOVERFLOW, where Linux 6.1 says EINVAL. */
    fail: MODES.map((mode) => `vfio_dma_map_limit_test.${mode}.overflow`),
  },
  { name: 'vfio_pci_driver_test', variants: VARIANTS, count: 14 },
];

it("Linux' VFIO selftests pass on the I/OAT card, in the modes that the guest's kernel has", async () => {
  const tree = await kernelSourceTree('linux-source/trixie-backports');
  const selftests = join(tree, 'tools/testing/selftests');
  const lib = join(selftests, 'vfio/lib');
  const sources = readdirSync(lib, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.c'));
  const headers = [OWN, selftests, join(lib, 'include'), join(tree, 'tools/include'), join(tree, 'include/uapi')];
  const build = [
    ...['-D_GNU_SOURCE', '-D__counted_by(member)=', ...headers.map((folder) => `-I${folder}`)],
    ...[join(OWN, 'mode.c'), ...sources.map((name) => join(lib, name))],
  ];
  // The longest test copies 65535 times as much as one transfer may have, and has a minute for it.
  const make = (environment: IoatCardOptions) => new IoatCard({ transferBits: 12, ...environment });
  await using rig = await startRig({
    ...{ cards: [{ name: 'ioat', make }], iommu: true, memoryMiB: 4096, kernelAppend: 'hugepagesz=1G hugepages=1' },
  });
  // They map 1 GiB of shared memory each time: quicker by pages of 2 MiB.
  const setting = '/sys/kernel/mm/transparent_hugepage/shmem_enabled';
  await rig.guest.run(['sh', '-c', `echo always > ${setting}`], { timeoutMs: 10_000 });
  const { pciAddress } = await rig.bind('ioat', 'vfio-pci');

  let passed = 0;
  for (const { name, variants = [], count, fail = [] } of TESTS) {
    const program = await installProgram(rig, join(selftests, `vfio/${name}.c`), [], build);
    const result = await rig.guest.run([program, ...variants, pciAddress], { timeoutMs: 300_000 });
    const log = `${result.stdout.toString()}\n${result.stderr.toString()}`;
    const results = [...log.matchAll(/^(ok|not ok) \d+ (.+)$/gm)];
    expect(results, log).toHaveLength(count);
    expect(results.flatMap(([, verdict, test]) => (verdict === 'ok' ? [] : test)).sort(), log).toEqual(fail);
    expect(log).toContain(`pass:${count - fail.length} fail:${fail.length} xfail:0 xpass:0 skip:0 error:0`);
    passed += count - fail.length;
  }
  expect(rig.modelErrors).toEqual([]);
  const makefile = readFileSync(join(tree, 'Makefile'), 'utf8');
  const release = ['VERSION', 'PATCHLEVEL'].map((name) => new RegExp(`^${name} = (\\d+)$`, 'm').exec(makefile)?.[1]);
  expectProven({
    ...{
      card: 'ioat',
      driver: 'VFIO selftests, with their `ioat` driver',
      version: `Linux ${release.join('.')}'s, on 6.1`,
    },
    ...{ way: '`vfio-pci` behind an IOMMU, type 1', passed: `${passed} tests` },
  });
});
