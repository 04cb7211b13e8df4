/**
 * Builds the modules that Debian's kernel lacks, or has without the options that a guest of ghostcard needs, from the
 * source of exactly that kernel and against its headers. The kernel image is unchanged.
 *
 * Source: Linux Documentation/kbuild/modules.rst; drivers/vfio/Kconfig, drivers/uio/Kconfig, net/9p/Kconfig,
 * fs/9p/Kconfig and drivers/iommu/Kconfig for the options.
 */
import { appendFileSync, cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { type GuestArch } from '../basis/arch';
import { type Suite } from '../packages/suite';
import { type Compiler, isForeign, isOtherSuite, ownCompiler, requireCompiler } from './compiler';
import { awkwardCachePath, type Context } from './context';
import { type StepProgress } from '../basis/progress';
import { findTool, missingTool, runPipeline, runTool } from '../basis/tools';

interface PartRecipe {
  readonly options: readonly string[];
  readonly defines?: readonly string[];
  /** Replaces the folder's own makefile. */
  readonly makefile?: string;
}

/** Folders of the kernel's source that are built, and how each differs from Debian's configuration. */
const BUILT: Record<string, PartRecipe> = {
  'drivers/vfio': {
    options: ['VFIO_NOIOMMU=y', 'VFIO_PLATFORM=m', 'VFIO_PLATFORM_BASE=m', 'VFIO_MDEV=n'],
    defines: ['VFIO_NOIOMMU'],
  },
  'drivers/uio': {
    options: [
      ...['UIO=m', 'UIO_PCI_GENERIC=m', 'UIO_PDRV_GENIRQ=m', 'UIO_DMEM_GENIRQ=m'],
      ...['CIF', 'AEC', 'SERCOS3', 'NETX', 'MF624', 'HV_GENERIC', 'DFL'].map((card) => `UIO_${card}=n`),
    ],
  },
  // The cloud kernel has everything else that a guest needs, so these are built instead of using a kernel of three
  // times the size.
  'net/9p': {
    options: ['NET_9P=m', 'NET_9P_VIRTIO=m', 'NET_9P_FD=n', 'NET_9P_XEN=n', 'NET_9P_RDMA=n'],
    defines: ['NET_9P_MODULE', 'NET_9P_VIRTIO_MODULE'],
  },
  'fs/9p': { options: ['9P_FS=m'], defines: ['9P_FS_MODULE'] },
};

/** Headers in these folders that other modules need (guest-modules.ts). */
const PRIVATE_HEADERS = ['drivers/vfio/platform/vfio_platform_private.h'];

/** Debug information would make the modules ten times as large. */
export const WITHOUT_DEBUG_INFO = ['CONFIG_DEBUG_INFO=', 'CONFIG_DEBUG_INFO_BTF=', 'CONFIG_DEBUG_INFO_BTF_MODULES='];

/** The driver for the IOMMU of the arm64 machine; that of amd64 needs no module. */
const BUILT_FOR: Record<GuestArch, Record<string, PartRecipe>> = {
  amd64: BUILT,
  arm64: { ...BUILT, 'drivers/iommu': { options: ['VIRTIO_IOMMU=m'], makefile: 'obj-m += virtio-iommu.o\n' } },
};

export const moduleRecipe = (guestArch: GuestArch): Record<string, PartRecipe> => BUILT_FOR[guestArch];

export interface ModuleBuild {
  /** Folder of the unpacked packages: headers, kbuild, xz. */
  readonly packages: string;
  /** The package with the source. It is not unpacked, because little of it is needed. */
  readonly sourcePackage: string;
  readonly release: string;
  /** The suite whose compiler is used. */
  readonly suite: Suite;
  /** A scratch folder. */
  readonly folder: string;
}

/** Checks for the programs that the build needs, before anything is fetched. */
export function requireBuildTools(context: Context): void {
  const attempted = "building the guest's kernel modules";
  for (const tool of ['make', 'tar', 'dpkg-deb']) {
    if (findTool(tool) === undefined) throw missingTool(tool, attempted);
  }
  if (/[\s:"\\]/.test(context.cache.folder)) throw awkwardCachePath(context.cache.folder);
  if (!isForeign(context)) ownCompiler(context);
}

/**
 * Configures the packaged headers of a kernel for this compiler. Newer ones name a cross compiler, which would have to
 * be on PATH.
 */
export function compileWith(headers: string, { command, prefix }: Compiler): void {
  appendFileSync(path.join(headers, '.kernelvariables'), `CC = ${command}\noverride CROSS_COMPILE = ${prefix}\n`);
}

export interface BuiltModules {
  /** The .ko files. */
  readonly files: string[];
  /** The text of Module.symvers: the exported symbols, with versions that differ from Debian's if the options do. */
  readonly symbolVersions: string;
  /** Private headers of the kernel that other modules need. */
  readonly privateHeaders: string[];
}

/** Builds the modules. */
export async function rebuildModules(
  context: Context,
  build: ModuleBuild,
  progress: StepProgress,
): Promise<BuiltModules> {
  const compiler = await requireCompiler(context, build.suite);
  const source = await unpackSource(context, build, progress);
  const tree = path.join(build.folder, 'tree');
  const recipe = moduleRecipe(context.guestArch);
  for (const [part, { makefile }] of Object.entries(recipe)) {
    mkdirSync(path.dirname(path.join(tree, part)), { recursive: true });
    cpSync(path.join(source, part), path.join(tree, part), { recursive: true });
    if (makefile !== undefined) writeFileSync(path.join(tree, part, 'Makefile'), makefile);
  }
  writeFileSync(
    path.join(tree, 'Kbuild'),
    `obj-m += ${Object.keys(recipe)
      .map((part) => `${part}/`)
      .join(' ')}\n`,
  );
  const headers = path.join(build.packages, 'usr/src', `linux-headers-${build.release}`);
  relocateHeaders(headers, path.join(build.packages, 'usr/src'));
  compileWith(headers, compiler);

  const parts = Object.values(recipe);
  const defines = parts.flatMap((part) => part.defines ?? []).map((name) => `-DCONFIG_${name}=1`);
  await progress.during(`compiling ${Object.keys(recipe).join(', ')}`, () =>
    runTool(
      'make',
      [
        ...['-s', `-j${availableParallelism()}`, '-C', headers, `M=${tree}`],
        ...parts.flatMap((part) => part.options).map((option) => `CONFIG_${option}`),
        ...WITHOUT_DEBUG_INFO,
        `KCFLAGS=${defines.join(' ')}`,
        'modules',
      ],
      {
        attempted: `compiling the guest's kernel modules for ${build.release}`,
        cure: `make sure that ${compiler.command} and make work (apt-get install build-essential), or provide your own with --kernel and --modules`,
        env: {
          MAKEFLAGS: '',
          // The kernel's helper programs need the libraries of these packages.
          ...(!isOtherSuite(context, build.suite) && { LD_LIBRARY_PATH: context.libraryFolder(build.packages) }),
        },
        signal: context.signal,
      },
    ),
  );
  const symbolVersions = readFileSync(path.join(tree, 'Module.symvers'), 'utf8').replaceAll(`${tree}/`, '');
  const privateHeaders = PRIVATE_HEADERS.map((header) => path.join(tree, header));
  return { files: findModules(tree), symbolVersions, privateHeaders };
}

/** Unpacks the few folders that are built, directly from the package of the source. Returns the source's folder. */
async function unpackSource(context: Context, build: ModuleBuild, progress: StepProgress): Promise<string> {
  const top = path.basename(build.sourcePackage).replace(/_.*/, '');
  const members = Object.keys(moduleRecipe(context.guestArch)).map((part) => `${top}/${part}`);
  await progress.during(`unpacking parts of ${top}`, () =>
    runPipeline(
      [
        ['dpkg-deb', '--fsys-tarfile', build.sourcePackage],
        ['tar', '-xO', `./usr/src/${top}.tar.xz`],
        [xzProgram(build.packages), '-dc'],
        ['tar', '-x', '-C', build.folder, ...members],
      ],
      {
        attempted: `unpacking parts of the kernel's source from ${path.basename(build.sourcePackage)}`,
        cure: `check the free space in ${build.folder}; if the packaging has changed, provide your own: --kernel and --modules`,
        signal: context.signal,
      },
    ),
  );
  return path.join(build.folder, top);
}

/** The host's xz, or the one that was downloaded with the source. */
export function xzProgram(packages: string): string {
  return findTool('xz') ?? path.join(packages, 'usr/bin/xz');
}

/** The packaged makefile contains the folder of a normal installation of the headers. */
function relocateHeaders(headers: string, sources: string): void {
  const makefile = path.join(headers, 'Makefile');
  writeFileSync(makefile, readFileSync(makefile, 'utf8').replaceAll(/(^|[\s=])\/usr\/src\//gm, `$1${sources}/`));
}

export function findModules(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.ko(\.(xz|gz|zst))?$/.test(name))
    .sort()
    .map((name) => path.join(folder, name));
}
