/** Guests with an XDMA card under Linux' own driver of the core, behind a driver of ours for the card (xdma/xdma_pci.c). */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { expect } from 'vitest';
import { XdmaCard, type XdmaCardOptions } from '../../emulator/cards/xdma';
import { registerMap } from '../../emulator/registers';
import { type FaultDeclaration } from '../../instrumentation/faults';
import { loadModule } from '../../qemu/launch';
import { buildModules, provision } from '../../qemu/provision';
import { Rig, type RigOptions } from '../../qemu/rig';
import { kernelSourceTree } from '../support/packages/kernel-source';
import { expectProven } from './proven';

/** Debian's cloud kernel has no DMA engines. */
const kernel = 'generic';
const DESIGN = registerMap({ LINE: { offset: 0, access: 'rw', doc: 'Bit 0 drives user interrupt 0.' } });

export interface XdmaRig extends AsyncDisposable {
  readonly rig: Rig;
  readonly card: XdmaCard;
  /** Runs a script in the folder of the card in sysfs; its output. */
  readonly sh: (script: string) => Promise<string>;
}

export async function startXdma(
  options: XdmaCardOptions,
  { faults = [], ...more }: Partial<RigOptions> & { readonly faults?: readonly FaultDeclaration[] } = {},
): Promise<XdmaRig> {
  const provisioned = await provision({ kernel });
  const make = (environment: XdmaCardOptions) => {
    const card = new XdmaCard({ ...options, ...environment, user: DESIGN });
    card.user.onWrite('LINE', ({ value }) => card.setUserInterrupt(0, (value & 1) === 1));
    return card;
  };
  const rig = await Rig.start({ provisioned, cards: [{ name: 'xdma', make, faults }], hostRoot: false, ...more });
  const folder = mkdtempSync(join(tmpdir(), 'gc-xdma-'));
  try {
    cpSync(join(__dirname, 'xdma'), folder, { recursive: true });
    cpSync(await kernelSourceTree('linux-source-6.12', { cacheDir: provisioned.cacheDir }), folder, {
      recursive: true,
    });
    const modules = await buildModules(folder, { kernel, cacheDir: provisioned.cacheDir });
    for (const name of ['xdma.ko', 'xdma_pci.ko']) {
      await loadModule(rig.guest, modules.find((file) => basename(file) === name) ?? name);
    }
    const { pciAddress } = await rig.bind('xdma', 'xdma-pci');
    const sh = async (script: string) => {
      const command = `cd /sys/bus/pci/devices/${pciAddress} && ${script}`;
      const { exitCode, stdout, stderr } = await rig.guest.run(['sh', '-c', command], { timeoutMs: 90_000 });
      const log = async () => (await rig.guest.run(['dmesg'], { timeoutMs: 10_000 })).stdout.toString();
      expect(exitCode, exitCode === 0 ? '' : `${script}:\n${stderr.toString()}${await log()}`).toBe(0);
      return stdout.toString();
    };
    return { rig, card: rig.card<XdmaCard>('xdma'), sh, [Symbol.asyncDispose]: () => rig.close() };
  } catch (error) {
    await rig.close();
    throw error;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Moves bytes to the card and back, and finds the row of the document that says so. */
export async function expectMoved(
  { rig, sh }: XdmaRig,
  way: string,
  { pairs, bytes, rounds }: { readonly pairs: number; readonly bytes: number; readonly rounds: number },
): Promise<void> {
  const transfers = 2 * pairs * rounds;
  const report = await sh(
    `echo "${pairs} ${bytes} ${rounds}" > transfer; cat transfer; dmesg | grep 'xdma.*error'; true`,
  );
  expect(report).toBe(`transfers ${transfers} failures 0\n`);
  expect(rig.modelErrors).toEqual([]);
  const passed = `${transfers} transfers of ${bytes} bytes`;
  expectProven({ card: 'xdma', driver: '`xdma`', version: "Linux 6.12's, on 6.1", way, passed });
}
