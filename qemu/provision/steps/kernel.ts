/**
 * Steps `kernel` and `modules`: Debian's kernel image of the host's suite with its modules, some of them rebuilt
 * (kernel-modules.ts). Both are in one entry, because their versions must be identical.
 */
import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { guestModules } from '../../guest-image';
import { versionsOf } from '../packages/apt-root';
import { guestFacts } from '../basis/arch';
import { type Described, type Entry, type Ingredients } from '../cache/cache';
import { requireCompiler } from './compiler';
import { type Context } from './context';
import { ProvisionError } from '../basis/errors';
import { rebuildModules, findModules, moduleRecipe, requireBuildTools, xzProgram } from './kernel-modules';
import { collectModules } from './module-files';

const RECIPE = 4;
/** Packages that are only needed to make this entry: the largest ones. */
const NOT_KEPT = /^linux-(image|source|compiler)/;

export interface KernelManifest extends Described {
  readonly release: string;
  readonly packages: Record<string, string>;
}

export type KernelEntry = Entry<KernelManifest>;

/** The key of everything that is made for this kernel: a newer release may replace it in the cache. */
export const kernelKey = ({ folder, manifest }: KernelEntry): Ingredients => ({
  entry: path.basename(folder),
  packages: manifest.packages,
});

export const kernelImage = (entry: KernelEntry): string => path.join(entry.folder, 'vmlinuz');
export const kernelModules = (entry: KernelEntry): string => path.join(entry.folder, 'modules');
const SYMBOL_VERSIONS = 'Module.symvers';
const PRIVATE_HEADERS = 'private-headers';
export const rebuiltSymbols = (entry: KernelEntry): string => path.join(entry.folder, SYMBOL_VERSIONS);
/** Private headers of the kernel, for guest-modules.ts. */
export const privateHeaders = (entry: KernelEntry): string => path.join(entry.folder, PRIVATE_HEADERS);
/** The downloaded packages for building modules (kernel-build.ts): mirrors remove superseded kernels. */
export const kernelPackages = (entry: KernelEntry): string => path.join(entry.folder, 'packages');

function packages({ guestArch }: Context): string[] {
  const flavour = guestFacts(guestArch).kernelFlavour;
  return [`linux-image-${flavour}:${guestArch}`, `linux-headers-${flavour}:${guestArch}`, 'linux-source'];
}

function ingredients(context: Context): Record<string, unknown> {
  return {
    recipe: RECIPE,
    suite: context.suite().codename,
    hostArch: context.hostArch,
    packages: packages(context),
    modules: guestModules(context.guestArch),
    built: moduleRecipe(context.guestArch),
  };
}

export function findKernel(context: Context): KernelEntry | undefined {
  return context.cache.find<KernelManifest>('kernel', ingredients(context));
}

export async function fetchKernel(context: Context): Promise<KernelEntry> {
  requireBuildTools(context);
  await requireCompiler(context);
  const progress = context.progress('kernel');
  const apt = context.hostSuiteApt();
  const entry = await context.cache.publish<KernelManifest>('kernel', ingredients(context), async (folder) => {
    const scratch = path.join(folder, 'scratch');
    const unpacked = path.join(scratch, 'packages');
    const files = await apt.download(packages(context), progress);
    const source = files.find(({ fileName }) => /^linux-source-\d/.test(fileName));
    if (source === undefined) throw packagingChanged('no linux-source-VERSION among the packages');
    await apt.unpack(
      files.filter((file) => file !== source),
      unpacked,
      progress,
    );
    const release = installImage(unpacked, folder);
    progress.finish(`Linux ${release} from ${context.suite().codename}`);

    const building = context.progress('modules');
    const built = await rebuildModules(
      context,
      { packages: unpacked, sourcePackage: apt.pathOf(source), release, folder: scratch },
      building,
    );
    const stock = findModules(unpacked);
    const modules = collectModules(guestModules(context.guestArch), [...stock, ...built.files], {
      xz: xzProgram(unpacked),
    });
    const target = path.join(folder, 'modules');
    mkdirSync(target);
    for (const { fileName, data } of modules) writeFileSync(path.join(target, fileName), data);
    writeFileSync(path.join(folder, SYMBOL_VERSIONS), built.symbolVersions);
    const headers = path.join(folder, PRIVATE_HEADERS);
    mkdirSync(headers);
    for (const file of built.privateHeaders) copyFileSync(file, path.join(headers, path.basename(file)));
    const kept = path.join(folder, 'packages');
    mkdirSync(kept);
    for (const file of files.filter(({ fileName }) => !NOT_KEPT.test(fileName))) {
      copyFileSync(apt.pathOf(file), path.join(kept, file.fileName));
    }
    building.report('removing the build folder');
    rmSync(scratch, { recursive: true });
    building.finish(`${modules.length} modules, ${built.files.length} of them rebuilt`);
    const description = `Linux ${release} of ${context.suite().codename} with ${modules.length} modules`;
    return { description, release, packages: versionsOf(files) };
  });
  apt.removeDownloads();
  return entry;
}

/** Copies the kernel image from its unpacked package and returns its release. */
function installImage(unpacked: string, folder: string): string {
  const boot = path.join(unpacked, 'boot');
  const images = existsSync(boot) ? readdirSync(boot).filter((name) => name.startsWith('vmlinuz-')) : [];
  const [image] = images;
  if (image === undefined || images.length > 1) {
    throw packagingChanged(`there are ${images.length} files boot/vmlinuz-*, where one is expected`);
  }
  copyFileSync(path.join(boot, image), path.join(folder, 'vmlinuz'));
  return image.replace('vmlinuz-', '');
}

function packagingChanged(seen: string): ProvisionError {
  return new ProvisionError({
    attempted: "extracting the guest's kernel from Debian's packages",
    seen,
    cure: "the packaging of Debian's kernel has changed; please report it. Meanwhile provide your own: --kernel and --modules",
  });
}
