/**
 * For tests only: single files of the kernel's source, as the distribution has it, for drivers and tests of the kernel's
 * own that its packages leave out.
 */
import { mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { versionsOf } from '../../../qemu/provision/packages/apt-root';
import { type Described, type Entry } from '../../../qemu/provision/cache/cache';
import { Context } from '../../../qemu/provision/steps/context';
import { xzProgram } from '../../../qemu/provision/steps/kernel-modules';
import { withProvisioningLock } from '../../../qemu/provision/provision';
import { findTool, runPipeline } from '../../../qemu/provision/basis/tools';
import { type ProvisionOptions } from '../../../qemu/provision/basis/types';

/** By package, every file and folder that a test wants: a package has 140 MB or more, and is fetched once. */
const FILES = {
  /** Of the kernel of the host's suite, which guests have. */
  'linux-source': [
    'drivers/dma/dmaengine.h',
    'drivers/dma/dmatest.c',
    'drivers/dma/xilinx/xilinx_dma.c',
    'drivers/misc/pci_endpoint_test.c',
    'tools/pci/pcitest.c',
  ],
  /** Of the suite that QEMU is from: drivers that are newer than the kernel of bookworm. */
  'linux-source-6.12': [
    'drivers/dma/dmaengine.h',
    'drivers/dma/virt-dma.h',
    'drivers/dma/xilinx/xdma-regs.h',
    'drivers/dma/xilinx/xdma.c',
    'include/linux/dma/amd_xdma.h',
    'include/linux/platform_data/amd_xdma.h',
  ],
  /** Of the backports to that suite, whichever release they have: folders of programs, and what links in them point to. */
  'linux-source/trixie-backports': [
    'Makefile',
    'drivers/dma/idxd/registers.h',
    'drivers/dma/ioat/hw.h',
    'drivers/dma/ioat/registers.h',
    'drivers/net/ethernet/intel/igb/e1000_82575.h',
    'drivers/net/ethernet/intel/igb/e1000_defines.h',
    'drivers/net/ethernet/intel/igb/e1000_regs.h',
    'include/linux/pci_ids.h',
    'include/uapi/linux/iommufd.h',
    'include/uapi/linux/vfio.h',
    'tools/arch/x86/include/asm',
    'tools/include',
    'tools/testing/selftests/kselftest.h',
    'tools/testing/selftests/kselftest_harness.h',
    'tools/testing/selftests/vfio',
  ],
} as const;
export type KernelSourcePackage = keyof typeof FILES;
export type KernelSourceFile = (typeof FILES)['linux-source'][number];

interface Manifest extends Described {
  readonly packages: Record<string, string>;
}

/** The path of a file of the kernel's source; fetched with the others, if it is not in the cache. */
export async function kernelSource(file: KernelSourceFile, options: ProvisionOptions = {}): Promise<string> {
  return path.join(await kernelSourceTree('linux-source', options), file);
}

/** A folder that has all of the files of a package at their places, and no others. */
export async function kernelSourceTree(name: KernelSourcePackage, options: ProvisionOptions = {}): Promise<string> {
  const context = new Context(options);
  const find = () => context.cache.find<Manifest>('kernel-source', ingredients(context, name));
  const entry =
    find() ?? (await withProvisioningLock(context, async () => find() ?? (await fetchFiles(context, name))));
  return path.join(entry.folder, 'tree');
}

const ingredients = (context: Context, name: KernelSourcePackage): Record<string, unknown> => ({
  ...{ suite: context.suite().codename, package: name, files: FILES[name] },
});

async function fetchFiles(context: Context, name: KernelSourcePackage): Promise<Entry<Manifest>> {
  const progress = context.progress('kernel-source');
  const apt = name === 'linux-source' ? context.hostSuiteApt() : context.newerSourcesApt();
  const entry = await context.cache.publish<Manifest>('kernel-source', ingredients(context, name), async (folder) => {
    const files = await apt.download([name], progress);
    const source = files.find(({ fileName }) => /^linux-source-\d/.test(fileName));
    if (source === undefined) throw new Error(`there is no linux-source-VERSION among the packages of ${name}`);
    const tools = path.join(folder, 'tools');
    if (findTool('xz') === undefined) {
      const hostApt = context.hostSuiteApt();
      await hostApt.unpack(await hostApt.download(['xz-utils'], progress), tools, progress);
    }
    const top = source.fileName.replace(/_.*/, '');
    const tree = path.join(folder, 'tree');
    mkdirSync(tree);
    await progress.during(`unpacking files of ${top}`, () =>
      runPipeline(
        [
          ['dpkg-deb', '--fsys-tarfile', apt.pathOf(source)],
          ['tar', '-xO', `./usr/src/${top}.tar.xz`],
          [xzProgram(tools), '-dc'],
          ['tar', '-x', '-C', tree, '--strip-components=1', ...FILES[name].map((file) => `${top}/${file}`)],
        ],
        {
          attempted: `unpacking files of the kernel's source from ${source.fileName}`,
          cure: `check the free space in ${folder}`,
          signal: context.signal,
        },
      ),
    );
    rmSync(tools, { recursive: true, force: true });
    return { description: `files of ${top}, for tests`, packages: versionsOf(files) };
  });
  apt.removeDownloads();
  progress.finish(entry.manifest.description);
  return entry;
}
