/**
 * Steps `kernel` and `modules`: Debian's kernel image, of the host's suite unless another is asked for (kernel-source.ts),
 * with its modules, some of them rebuilt (kernel-modules.ts). Both are in one entry, because their versions must be identical.
 */
import { copyFileSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { moduleName } from '../../guest-image';
import { versionsOf } from '../packages/apt-root';
import { isOtherSuite, requireCompiler } from './compiler';
import { type Context } from './context';
import { ProvisionError } from '../basis/errors';
import {
  type KernelEntry,
  kernelIngredients,
  type KernelManifest,
  kernelPackages,
  privateHeaders,
  rebuiltSymbols,
} from './kernel-entry';
import { findModules, rebuildModules, requireBuildTools, xzProgram } from './kernel-modules';
import { kernelSource } from './kernel-source';
import { decompressAll } from './module-files';
import { PROGRAM_FOLDERS, useOwnLibraries } from './own-libraries';

/** Packages that are only needed to make this entry: the largest ones. */
const NOT_KEPT = /^linux-(image|binary|modules|source|compiler)/;

export async function fetchKernel(context: Context): Promise<KernelEntry> {
  requireBuildTools(context);
  const progress = context.progress('kernel');
  const { apt, suite, origin, packages } = await kernelSource(context, progress);
  await requireCompiler(context, suite);
  const entry = await context.cache.publish<KernelManifest>('kernel', kernelIngredients(context), async (folder) => {
    const scratch = path.join(folder, 'scratch');
    const unpacked = path.join(scratch, 'packages');
    const files = await apt.download(packages, progress);
    const source = files.find(({ fileName }) => /^linux-source-\d/.test(fileName));
    if (source === undefined) throw packagingChanged('no linux-source-VERSION among the packages');
    await apt.unpack(
      files.filter((file) => file !== source),
      unpacked,
      progress,
    );
    if (isOtherSuite(context, suite)) useOwnLibraries(unpacked, PROGRAM_FOLDERS, context.hostArch);
    const release = installImage(unpacked, folder);
    progress.finish(`Linux ${release} from ${origin}`);

    const building = context.progress('modules');
    const built = await rebuildModules(
      context,
      { packages: unpacked, sourcePackage: apt.pathOf(source), release, suite, folder: scratch },
      building,
    );
    const modules = path.join(folder, 'modules');
    const count = await installModules(context, modules, unpacked, release, built.files);
    writeFileSync(rebuiltSymbols({ folder }), built.symbolVersions);
    const headers = privateHeaders({ folder });
    mkdirSync(headers);
    for (const file of built.privateHeaders) copyFileSync(file, path.join(headers, path.basename(file)));
    const kept = kernelPackages({ folder });
    mkdirSync(kept);
    for (const file of files.filter(({ fileName }) => !NOT_KEPT.test(fileName))) {
      copyFileSync(apt.pathOf(file), path.join(kept, file.fileName));
    }
    building.report('removing the build folder');
    rmSync(scratch, { recursive: true });
    building.finish(`${count} modules, ${built.files.length} of them rebuilt`);
    const description = `Linux ${release} of ${origin} with ${count} modules`;
    return { description, release, suite: suite.codename, origin, packages: versionsOf(files) };
  });
  apt.removeDownloads();
  return entry;
}

/** Copies the kernel image from its unpacked package and returns its release. */
function installImage(unpacked: string, folder: string): string {
  const namesIn = (place: string): string[] => {
    const at = path.join(unpacked, place);
    return existsSync(at) ? readdirSync(at).map((name) => path.join(at, name)) : [];
  };
  const images = [
    ...namesIn('boot').filter((file) => path.basename(file).startsWith('vmlinuz-')),
    // Since Linux 7.2.
    ...namesIn('usr/lib/modules')
      .map((each) => path.join(each, 'vmlinuz'))
      .filter((file) => existsSync(file)),
  ];
  const [image] = images;
  if (image === undefined || images.length > 1) {
    throw packagingChanged(
      `there are ${images.length} kernel images in boot and usr/lib/modules, where one is expected`,
    );
  }
  copyFileSync(image, path.join(folder, 'vmlinuz'));
  const name = path.basename(image);
  return name === 'vmlinuz' ? path.basename(path.dirname(image)) : name.replace('vmlinuz-', '');
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
