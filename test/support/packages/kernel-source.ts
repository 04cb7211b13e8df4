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
import { runPipeline } from '../../../qemu/provision/basis/tools';
import { type ProvisionOptions } from '../../../qemu/provision/basis/types';

/** Every file that a test wants is here: the package has 140 MB, and is fetched once. */
const FILES = [
  'drivers/dma/dmaengine.h',
  'drivers/dma/dmatest.c',
  'drivers/dma/xilinx/xilinx_dma.c',
  'drivers/misc/pci_endpoint_test.c',
  'tools/pci/pcitest.c',
] as const;
export type KernelSourceFile = (typeof FILES)[number];

interface Manifest extends Described {
  readonly packages: Record<string, string>;
}

/** The path of a file of the kernel's source; fetched with the others, if it is not in the cache. */
export async function kernelSource(file: KernelSourceFile, options: ProvisionOptions = {}): Promise<string> {
  const context = new Context(options);
  const find = () => context.cache.find<Manifest>('kernel-source', ingredients(context));
  const entry = find() ?? (await withProvisioningLock(context, async () => find() ?? (await fetchFiles(context))));
  return path.join(entry.folder, file);
}

const ingredients = (context: Context): Record<string, unknown> => ({
  ...{ suite: context.suite().codename, files: FILES },
});

async function fetchFiles(context: Context): Promise<Entry<Manifest>> {
  const progress = context.progress('kernel-source');
  const apt = context.hostSuiteApt();
  const entry = await context.cache.publish<Manifest>('kernel-source', ingredients(context), async (folder) => {
    const files = await apt.download(['linux-source'], progress);
    const source = files.find(({ fileName }) => /^linux-source-\d/.test(fileName));
    if (source === undefined) throw new Error('there is no linux-source-VERSION among the packages of linux-source');
    const others = path.join(folder, 'packages');
    const top = source.fileName.replace(/_.*/, '');
    mkdirSync(others);
    await apt.unpack(
      files.filter((file) => file !== source),
      others,
      progress,
    );
    await progress.during(`unpacking files of ${top}`, () =>
      runPipeline(
        [
          ['dpkg-deb', '--fsys-tarfile', apt.pathOf(source)],
          ['tar', '-xO', `./usr/src/${top}.tar.xz`],
          [xzProgram(others), '-dc'],
          ['tar', '-x', '-C', folder, '--strip-components=1', ...FILES.map((file) => `${top}/${file}`)],
        ],
        {
          attempted: `unpacking files of the kernel's source from ${source.fileName}`,
          cure: `check the free space in ${folder}`,
          signal: context.signal,
        },
      ),
    );
    rmSync(others, { recursive: true });
    return { description: `${FILES.length} files of ${top}, for tests`, packages: versionsOf(files) };
  });
  apt.removeDownloads();
  progress.finish(entry.manifest.description);
  return entry;
}
