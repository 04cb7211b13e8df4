/**
 * Steps `kernel` and `modules`: Debian's kernel image of the host's suite with its modules, some of them rebuilt
 * (kernel-modules.ts). Both are in one entry, because their versions must be identical.
 */
import { copyFileSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { moduleName } from '../../guest-image';
import { versionsOf } from '../packages/apt-root';
import { guestFacts } from '../basis/arch';
import { type Described, type Entry, type Ingredients } from '../cache/cache';
import { requireCompiler } from './compiler';
import { type Context } from './context';
import { ProvisionError } from '../basis/errors';
import { rebuildModules, findModules, moduleRecipe, requireBuildTools, xzProgram } from './kernel-modules';
import { decompressAll } from './module-files';

const RECIPE = 5;
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
/** The folder of all modules, as /lib/modules/RELEASE is. */
export const kernelModules = (entry: KernelEntry): string => path.join(entry.folder, 'modules');
const SYMBOL_VERSIONS = 'Module.symvers';
const PRIVATE_HEADERS = 'private-headers';
export const rebuiltSymbols = (entry: KernelEntry): string => path.join(entry.folder, SYMBOL_VERSIONS);
/** Private headers of the kernel, for guest-modules.ts. */
export const privateHeaders = (entry: KernelEntry): string => path.join(entry.folder, PRIVATE_HEADERS);
/** The downloaded packages for building modules (kernel-build.ts): mirrors remove superseded kernels. */
export const kernelPackages = (entry: KernelEntry): string => path.join(entry.folder, 'packages');

function packages({ guestArch, kernelFlavour }: Context): string[] {
  const flavour = guestFacts(guestArch).kernelPackages[kernelFlavour];
  return [`linux-image-${flavour}:${guestArch}`, `linux-headers-${flavour}:${guestArch}`, 'linux-source'];
}

function ingredients(context: Context): Record<string, unknown> {
  return {
    recipe: RECIPE,
    suite: context.suite().codename,
    hostArch: context.hostArch,
    packages: packages(context),
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
    const modules = path.join(folder, 'modules');
    const count = await installModules(context, modules, unpacked, release, built.files);
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
    building.finish(`${count} modules, ${built.files.length} of them rebuilt`);
    const description = `Linux ${release} of ${context.suite().codename} with ${count} modules`;
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

/**
 * Moves all modules of the package into the folder, uncompressed, and puts the rebuilt ones in the place of those of the
 * same name. Returns how many there are.
 */
async function installModules(
  { signal }: Context,
  folder: string,
  unpacked: string,
  release: string,
  rebuilt: readonly string[],
): Promise<number> {
  const packaged = ['lib/modules', 'usr/lib/modules'].map((place) => path.join(unpacked, place, release));
  const place = packaged.find((each) => existsSync(each));
  if (place === undefined) throw packagingChanged(`there is no folder of modules for ${release}`);
  renameSync(place, folder);
  await decompressAll(findModules(folder), { xz: xzProgram(unpacked), signal });
  const names = new Set(rebuilt.map((file) => moduleName(path.basename(file))));
  for (const file of findModules(folder)) if (names.has(moduleName(path.basename(file)))) rmSync(file);
  const updates = path.join(folder, 'updates');
  mkdirSync(updates, { recursive: true });
  for (const file of rebuilt) copyFileSync(file, path.join(updates, path.basename(file)));
  return findModules(folder).length;
}

function packagingChanged(seen: string): ProvisionError {
  return new ProvisionError({
    attempted: "extracting the guest's kernel from Debian's packages",
    seen,
    cure: "the packaging of Debian's kernel has changed; please report it. Meanwhile provide your own: --kernel and --modules",
  });
}
