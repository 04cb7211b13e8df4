/** arm64 guests with an AXI DMA under Linux' xilinx_dma, with device-tree nodes made by a module of ours (axi-dma/). */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { AxiDmaCard, type AxiDmaCardOptions } from '../../emulator/cards/axi-dma';
import { loadModule } from '../../qemu/launch';
import { buildModules, provision } from '../../qemu/provision';
import { Rig } from '../../qemu/rig';
import { loadKernelDriver } from '../support/kernel-driver';

/** Debian's cloud kernel has no DMA engines; guests of amd64 have no device tree. */
const options = { kernel: 'generic', guestArch: 'arm64' } as const;
const NAME = 'axi-dma';

export interface XilinxDma extends AsyncDisposable {
  readonly rig: Rig;
  /** Sends packets of so many bytes through the loopback; what the kernel says if one does not come back. */
  readonly loop: (packets: number, bytes: number) => Promise<string>;
  /** Runs a script in the guest; what it prints. */
  readonly sh: (script: string) => Promise<string>;
}

/** @param lengthBits what the device tree says of the length register */
export async function startXilinxDma(
  card: AxiDmaCardOptions,
  lengthBits: number,
  onNotice: (notice: { readonly text: string }) => void = () => {},
): Promise<XilinxDma> {
  const make = (environment: AxiDmaCardOptions) => new AxiDmaCard({ ...card, ...environment });
  const provisioned = await provision(options);
  const notify = (_: string, notice: { readonly text: string }) => onNotice(notice);
  const rig = await Rig.start({ provisioned, cards: [{ name: NAME, make }], hostRoot: false, onNotice: notify });
  const folder = mkdtempSync(join(tmpdir(), 'gc-axi-dma-'));
  const sh = async (script: string) => {
    const { stdout, stderr } = await rig.guest.run(['sh', '-c', script], { timeoutMs: 60_000 });
    return `${stderr.toString()}${stdout.toString()}`;
  };
  try {
    await rig.bind(NAME, 'ghostcard');
    cpSync(join(__dirname, basename(__filename, '.ts')), folder, { recursive: true });
    const [nodes = ''] = await buildModules(folder, options);
    const device = (await sh('ls /sys/bus/platform/devices | grep ^axi-dma')).trim();
    await loadModule(rig.guest, nodes, { parameters: { device, length_bits: lengthBits } });
    const headers = ['drivers/dma/dmaengine.h'] as const;
    await loadKernelDriver(rig, 'drivers/dma/xilinx/xilinx_dma.c', { ...options, headers });
    return {
      rig,
      sh,
      loop: (packets, bytes) => sh(`echo "${packets} ${bytes}" > /sys/module/axi_dma_nodes/parameters/run`),
      [Symbol.asyncDispose]: () => rig.close(),
    };
  } catch (error) {
    await rig.close();
    throw error;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
