/** Guests with an I/OAT card in which DPDK's own test of DMA devices runs. */
import { expect } from 'vitest';
import { IoatCard, type IoatCardOptions } from '../../emulator/cards/ioat';
import { type FaultDeclaration } from '../../instrumentation/faults';
import { provision } from '../../qemu/provision';
import { Rig } from '../../qemu/rig';
import { provisionDpdk } from '../support/packages/dpdk';
import { expectProven } from './proven';

export interface DpdkWay {
  /** The row of the document. */
  readonly way: string;
  readonly driver: 'vfio-pci' | 'uio_pci_generic';
  readonly iommu?: boolean;
  readonly card?: IoatCardOptions;
  readonly faults?: readonly FaultDeclaration[];
  /** What runs beyond copies, burst capacity and fills. */
  readonly errorHandling?: boolean;
}

/** Of the autotest, with an emulated processor: 10 s on an idle machine. */
const TEST_TIMEOUT_MS = 300_000;

/** Runs `dmadev_autotest`, expects it to pass, and finds the row of the document that says so. */
export async function expectDmadevAutotest({ way, driver, iommu = false, card, faults, errorHandling }: DpdkWay) {
  const [provisioned, dpdk] = [await provision(), await provisionDpdk()];
  const make = (environment: IoatCardOptions) => new IoatCard({ ...card, ...environment });
  await using rig = await Rig.start({
    ...{ provisioned, iommu, hostRoot: '/', memoryMiB: 1024, hugepages: 160 },
    cards: [{ name: 'ioat', make, ...(faults && { faults }) }],
  });
  const { pciAddress } = await rig.bind('ioat', driver);
  const options = [
    ...['-l', '0', '--in-memory', '--no-telemetry', `--iova-mode=${iommu ? 'va' : 'pa'}`, '-a', pciAddress],
    ...dpdk.drivers.flatMap((file) => ['-d', file]),
  ];
  const { exitCode, stdout, stderr } = await rig.guest.run([dpdk.command, ...options], {
    env: { LD_LIBRARY_PATH: dpdk.libraryPath, DPDK_TEST: 'dmadev_autotest' },
    timeoutMs: TEST_TIMEOUT_MS,
  });
  // Progress is overwritten in its line.
  const lines = stdout
    .toString()
    .replaceAll(/^.*\r(?=.)/gm, '')
    .split('\n');
  const log = `${lines.join('\n')}\n${stderr.toString()}`;
  expect(exitCode, log).toBe(0);
  expect(lines, log).toContain('Test OK');
  const parts = [...log.matchAll(/Running (.+?) Tests/g)].map(([, name]) => name);
  expect(parts, log).toEqual(['copy', 'burst capacity', ...(errorHandling ? ['error handling'] : []), 'fill']);
  expect(rig.modelErrors).toEqual([]);
  const completed = lines.flatMap((line) => /Ops completed: (\d+)/.exec(line)?.[1] ?? []);
  const operations = completed.reduce((sum, count) => sum + Number(count), 0);
  const passed = `${parts.length} of ${parts.length} parts, ${operations} operations`;
  const version = `DPDK ${dpdk.version.split('.').slice(0, 2).join('.')}`;
  expect(version).toMatch(/^DPDK \d+\.\d+$/);
  expectProven({ card: 'ioat', driver: 'DPDK, `dmadev_autotest`', version, way, passed });
}
