/**
 * The headers of the guest's kernel, unpacked from packages that were downloaded with the kernel: a folder for building
 * modules with `make -C FOLDER M=...`, for ghostcard (guest-modules.ts) and for the user (kernel-build.ts). Nothing is
 * downloaded.
 *
 * Source: Linux Documentation/kbuild/modules.rst.
 */
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { guestFacts, hostFacts } from '../basis/arch';
import { type Described, type Entry, type Ingredients } from '../cache/cache';
import { type Compiler, isOtherSuite } from './compiler';
import { type Context } from './context';
import { type KernelEntry, kernelKey, kernelPackages, rebuiltSymbols, suiteOf } from './kernel-entry';
import { compileWith } from './kernel-modules';
import { PROGRAM_FOLDERS, useOwnLibraries } from './own-libraries';
import { runTool } from '../basis/tools';

const RECIPE = 1;

interface Manifest extends Described {
  /** Relative to the entry's folder. */
  readonly headers: string;
}

/** The folder for `make -C`. Unpacks it if necessary. */
export async function kernelHeaders(context: Context, kernel: KernelEntry, compiler: Compiler): Promise<string> {
  const ingredients = { recipe: RECIPE, kernel: kernelKey(kernel), compiler: compiler.command };
  const entry =
    context.cache.find<Manifest>('kernel-build', ingredients) ?? (await unpack(context, kernel, compiler, ingredients));
  return path.join(entry.folder, entry.manifest.headers);
}

async function unpack(
  context: Context,
  kernel: KernelEntry,
  compiler: Compiler,
  ingredients: Ingredients,
): Promise<Entry<Manifest>> {
  const { release } = kernel.manifest;
  const headers = `usr/src/linux-headers-${release}`;
  const progress = context.progress('kernel-build');
  const build = async (folder: string): Promise<Manifest> => {
    progress.report(`unpacking the headers of ${release}`);
    for (const name of readdirSync(kernelPackages(kernel))) {
      const deb = path.join(kernelPackages(kernel), name);
      await runTool('dpkg-deb', ['-x', deb, folder], { attempted: `unpacking ${name}`, signal: context.signal });
    }
    trim(folder, context);
    const hasOwnLibraries = isOtherSuite(context, suiteOf(context, kernel));
    if (hasOwnLibraries) useOwnLibraries(folder, PROGRAM_FOLDERS, context.hostArch);
    updateSymbolVersions(path.join(folder, headers, 'Module.symvers'), rebuiltSymbols(kernel));
    makeRelocatable(path.join(folder, headers), context, compiler, hasOwnLibraries);
    return { description: `headers of Linux ${release}, to build modules with`, headers };
  };
  const onWait = (): void => progress.report('waiting for another ghostcard that is unpacking the headers');
  const entry = await context.cache.publish('kernel-build', ingredients, build, { signal: context.signal, onWait });
  progress.finish(`Linux ${release}`);
  return entry;
}

/** A third of the packages is documentation, and headers of other architectures. */
function trim(folder: string, { guestArch }: Context): void {
  rmSync(path.join(folder, 'usr/share'), { recursive: true, force: true });
  const sources = path.join(folder, 'usr/src');
  for (const headers of readdirSync(sources).filter((name) => name.endsWith('-common'))) {
    const architectures = path.join(sources, headers, 'arch');
    for (const arch of readdirSync(architectures).filter((name) => name !== guestFacts(guestArch).kernelArch)) {
      rmSync(path.join(architectures, arch), { recursive: true });
    }
  }
}

/**
 * The kernel refuses a module that was built for other versions of its symbols. The versions in rebuilt modules apply.
 */
function updateSymbolVersions(file: string, rebuilt: string): void {
  const lines = [file, rebuilt].flatMap((each) => readFileSync(each, 'utf8').split('\n'));
  const bySymbol = new Map<string | undefined, string>(lines.map((line) => [line.split('\t')[1], line]));
  bySymbol.delete(undefined);
  writeFileSync(file, `${[...bySymbol.values()].join('\n')}\n`);
}

/** The packaged makefile contains the folder of a normal installation; this one finds everything relative to itself. */
function makeRelocatable(headers: string, context: Context, compiler: Compiler, hasOwnLibraries: boolean): void {
  const makefile = path.join(headers, 'Makefile');
  const included = readFileSync(makefile, 'utf8').replaceAll('/usr/src/', '$(here)../');
  compileWith(headers, compiler);
  writeFileSync(
    makefile,
    [
      "# Builds modules for the kernel of ghostcard's guests: make -C THIS_FOLDER M=YOUR_FOLDER modules",
      'here := $(dir $(realpath $(lastword $(MAKEFILE_LIST))))',
      ...(hasOwnLibraries
        ? []
        : [
            "# The kernel's helper programs need the libraries of these packages.",
            `export LD_LIBRARY_PATH := $(here)../../lib/${hostFacts(context.hostArch).triplet}`,
          ]),
      '# The image that BTF would refer to is not here, and the kernel loads modules without BTF.',
      'MAKEOVERRIDES += CONFIG_DEBUG_INFO_BTF_MODULES=',
      included,
    ].join('\n'),
  );
}
