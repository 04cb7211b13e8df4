/** Guests with the endpoint test function under Linux' own driver for it, and the kernel's program that asks for tests. */
import { expect } from 'vitest';
import { PciEndpointTestCard, type PciEndpointTestCardOptions } from '../../emulator/cards/pci-endpoint-test';
import { type FaultDeclaration } from '../../instrumentation/faults';
import { type Rig, type RigOptions } from '../../qemu/rig';
import { loadKernelDriver } from '../support/kernel-driver';
import { kernelSource } from '../support/packages/kernel-source';
import { installProgram, startRig } from '../support/rig';
import { expectProven } from './proven';

export interface EndpointRig extends AsyncDisposable {
  readonly rig: Rig;
  /** Runs tests in their order: `-b 0`, `-r -s 1024`. What pcitest prints of each: `BAR0: OKAY`. */
  readonly pcitest: (tests: readonly string[]) => Promise<string[]>;
}

export async function startEndpointTest(
  card: PciEndpointTestCardOptions = {},
  options: Partial<RigOptions> = {},
  faults: readonly FaultDeclaration[] = [],
): Promise<EndpointRig> {
  const make = (environment: PciEndpointTestCardOptions) => new PciEndpointTestCard({ ...card, ...environment });
  const rig = await startRig({ cards: [{ name: 'endpoint', make, faults }], ...options });
  try {
    await loadKernelDriver(rig, 'drivers/misc/pci_endpoint_test.c');
    await rig.bind('endpoint', 'pci-endpoint-test');
    const program = await installProgram(rig, await kernelSource('tools/pci/pcitest.c'));
    return {
      rig,
      pcitest: async (tests) => {
        const script = tests.map((test) => `${program} ${test}`).join('\n');
        const { stdout } = await rig.guest.run(['sh', '-c', script], { timeoutMs: 120_000 });
        return stdout
          .toString()
          .trim()
          .split('\n')
          .map((line) => line.replaceAll(/\s+/g, ' '));
      },
      [Symbol.asyncDispose]: () => rig.close(),
    };
  } catch (error) {
    await rig.close();
    throw error;
  }
}

const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);
/** Of each transfer in the kernel's own script: bytes. */
const SIZES = [1, 1024, 1025, 1_024_000, 1_024_001];

/** The tests of tools/pci/pcitest.sh, for the vectors that there are. */
export const endpointTests = (msiVectors: number, msixVectors: number, flags = ''): string[] => [
  ...[0, 1, 2, 3, 4, 5].map((bar) => `-b ${bar}`),
  ...['-i 0', '-l'],
  ...['-i 1', ...upTo(msiVectors).map((number) => `-m ${number}`)],
  ...['-i 2', ...upTo(msixVectors).map((number) => `-x ${number}`)],
  '-i 1',
  ...['-r', '-w', '-c'].flatMap((kind) => SIZES.map((bytes) => `${kind} -s ${bytes}${flags}`)),
];

/** Runs the tests, expects all to pass, and finds the row of the document that says so. */
export async function expectEndpointTests({ rig, pcitest }: EndpointRig, way: string, tests: string[]): Promise<void> {
  const lines = await pcitest(tests);
  expect(lines.filter((line) => !line.endsWith('OKAY'))).toEqual([]);
  expect(lines).toHaveLength(tests.length);
  expect(rig.modelErrors).toEqual([]);
  const row = { card: 'pci-endpoint-test', driver: '`pci_endpoint_test`, `pcitest`', version: 'Linux 6.1' };
  expectProven({ ...row, way, passed: `${tests.length} tests` });
}
