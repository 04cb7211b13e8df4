/** Guests with an I/OAT card under Linux' ioatdma, and dmatest loaded. */
import { expect } from 'vitest';
import { IoatCard, type IoatCardOptions } from '../../emulator/cards/ioat';
import { type FaultDeclaration } from '../../instrumentation/faults';
import { loadModule } from '../../qemu/launch';
import { provision } from '../../qemu/provision';
import { Rig, type RigOptions } from '../../qemu/rig';
import { dmatest, type DmatestOptions, loadDmatest } from '../support/dmatest';
import { expectProven } from './proven';

/** Debian's cloud kernel has no DMA engines. */
const kernel = 'generic';

export interface IoatdmaOptions extends Partial<RigOptions> {
  /** As the driver's parameter has it. Default 'msix'. */
  readonly style?: 'msix' | 'msi' | 'intx';
  readonly faults?: readonly FaultDeclaration[];
}

export async function startIoatdma(
  card: IoatCardOptions,
  { style = 'msix', faults = [], ...options }: IoatdmaOptions = {},
): Promise<Rig> {
  const provisioned = await provision({ kernel });
  const make = (environment: IoatCardOptions) => new IoatCard({ ...card, ...environment });
  const rig = await Rig.start({ provisioned, cards: [{ name: 'ioat', make, faults }], hostRoot: false, ...options });
  try {
    await loadModule(rig.guest, 'ioatdma', { parameters: { ioat_interrupt_style: style } });
    await rig.bind('ioat', 'ioatdma');
    await loadDmatest(rig, { kernel });
    return rig;
  } catch (error) {
    await rig.close();
    throw error;
  }
}

/** How often the guest was interrupted, by the names of what asked for it. */
export async function interrupts(rig: Rig): Promise<{ name: string; count: number }[]> {
  const { stdout } = await rig.guest.run(['cat', '/proc/interrupts'], { timeoutMs: 10_000 });
  return [...stdout.toString().matchAll(/^ *\d+: +(\d+) .* (ioat-\w+)$/gm)].map(([, count, name = '']) => ({
    ...{ name, count: Number(count) },
  }));
}

/** Runs dmatest, expects no failure in any thread, and finds the row of the document that says so. */
export async function expectTransfers(rig: Rig, way: string, threads: number, options: DmatestOptions): Promise<void> {
  const { threads: results, lines } = await dmatest(rig, options);
  const { iterations: tests } = options;
  const log = lines.join('\n');
  expect(results, log).toHaveLength(threads);
  for (const thread of results) expect(thread, log).toMatchObject({ tests, failures: 0 });
  expect(rig.modelErrors).toEqual([]);
  const passed = `${threads * tests} transfers of ${threads} threads`;
  expectProven({ card: 'ioat', driver: '`ioatdma`, `dmatest`', version: 'Linux 6.1', way, passed });
}
