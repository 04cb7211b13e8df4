/**
 * For tests only: DPDK's own test program with the drivers that it loads, of the host's suite. It runs in the guest, on
 * the host's C library, as any program of the host does.
 */
import { readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { versionsOf } from '../../../qemu/provision/packages/apt-root';
import { hostFacts } from '../../../qemu/provision/basis/arch';
import { type Described, type Entry } from '../../../qemu/provision/cache/cache';
import { Context } from '../../../qemu/provision/steps/context';
import { withProvisioningLock } from '../../../qemu/provision/provision';
import { type ProvisionOptions } from '../../../qemu/provision/basis/types';

const RECIPE = 2;
/** What is for building programs, which the test program does not need; and what every Debian has. */
const PROVIDED = ['libdpdk-dev', 'python3', 'libc6', 'libgcc-s1'].map((name) => `${name} (= 999)`);
const DRIVERS = ['bus_pci', 'mempool_ring', 'dma_ioat'];
const PACKAGES = ['dpdk-dev', 'librte-dma-ioat23', 'librte-mempool-ring23'];

interface Manifest extends Described {
  readonly version: string;
  readonly packages: Record<string, string>;
}

export interface Dpdk {
  /** The test program. */
  readonly command: string;
  /** LD_LIBRARY_PATH for it. */
  readonly libraryPath: string;
  /**
   * The driver of I/OAT, and what it needs that is loaded at run time: each for an option `-d`. They are names, which the
   * dynamic linker looks up: DPDK refuses a path below a folder that all may write to, such as /tmp.
   */
  readonly drivers: readonly string[];
  /** Such as 22.11.11. */
  readonly version: string;
}

/** Fetches it when it is not in the cache. */
export async function provisionDpdk(options: ProvisionOptions = {}): Promise<Dpdk> {
  const context = new Context(options);
  const find = () => context.cache.find<Manifest>('dpdk', ingredients(context));
  const entry = find() ?? (await withProvisioningLock(context, async () => find() ?? (await fetchDpdk(context))));
  const root = path.join(entry.folder, 'root');
  // Packages from before the merge of /lib and /usr/lib have libraries in the former.
  const libraries = ['usr/lib', 'lib'].map((lib) => path.join(root, lib, hostFacts(context.hostArch).triplet));
  const drivers = driversIn(path.join(libraries[0]!, 'dpdk'));
  return {
    command: path.join(root, 'usr/bin/dpdk-test'),
    libraryPath: [...libraries, ...new Set(drivers.map((file) => path.dirname(file)))].join(':'),
    drivers: drivers.map((file) => path.basename(file)),
    version: entry.manifest.version,
  };
}

/** Of each library there is a link whose name ends in the version of its interface: `librte_dma_ioat.so.23`. */
function driversIn(folder: string): string[] {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  return DRIVERS.map((driver) => {
    const found = files.find((file) => new RegExp(`librte_${driver}\\.so\\.\\d+$`).test(file));
    if (found === undefined) throw new Error(`there is no librte_${driver}.so.N among DPDK's drivers in ${folder}`);
    return path.join(folder, found);
  });
}

const ingredients = (context: Context): Record<string, unknown> => ({
  ...{ recipe: RECIPE, hostArch: context.hostArch, suite: context.suite().codename, packages: PACKAGES },
});

async function fetchDpdk(context: Context): Promise<Entry<Manifest>> {
  const progress = context.progress('dpdk');
  const apt = context.hostProgramsApt(PROVIDED);
  const entry = await context.cache.publish<Manifest>('dpdk', ingredients(context), async (folder) => {
    const files = await apt.download(PACKAGES, progress);
    const root = path.join(folder, 'root');
    await apt.unpack(files, root, progress);
    keep(root, ['lib', 'usr']);
    keep(path.join(root, 'usr'), ['bin', 'lib']);
    keep(path.join(root, 'usr/bin'), ['dpdk-test']);
    const packages = versionsOf(files);
    const [, version = 'unknown'] = /^([\d.]+)/.exec(packages['dpdk-dev'] ?? '') ?? [];
    return { description: `DPDK ${version} of ${context.suite().codename}, for tests`, version, packages };
  });
  progress.finish(entry.manifest.description);
  return entry;
}

function keep(folder: string, names: readonly string[]): void {
  for (const name of readdirSync(folder)) {
    if (!names.includes(name)) rmSync(path.join(folder, name), { recursive: true });
  }
}
