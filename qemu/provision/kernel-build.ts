/**
 * A folder to build kernel modules of the user's own in the usual way, `make -C FOLDER M=$PWD modules`: the headers of
 * the guest's kernel, unpacked when first asked for out of packages that came along with it. Nothing is downloaded.
 *
 * Source: Linux Documentation/kbuild/modules.rst.
 */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { guestFacts, hostFacts } from './arch';
import { type Described, type Entry, type Ingredients } from './cache';
import { Context } from './context';
import { ProvisionError } from './errors';
import { checkedKernel } from './given-kernel';
import { findKernel, type KernelEntry, kernelPackages, rebuiltSymbols } from './kernel';
import { type Compiler, findCompiler, requireCompiler } from './compiler';
import { compilerAssignments, findModules, requireBuildTools } from './kernel-modules';
import { provision, withProvisioningLock } from './provision';
import { runTool } from './tools';
import { type ProvisionOptions } from './types';

const RECIPE = 1;

export interface KernelBuild {
  /** For `make -C`; also has .config, Module.symvers and include, as /lib/modules/RELEASE/build has. */
  readonly folder: string;
  /** The kernel's release, which a module's vermagic must begin with. */
  readonly release: string;
}

interface Manifest extends Described {
  /** Relative to the entry. */
  readonly headers: string;
}

/** The folder to build modules for the guest's kernel in; provisions that kernel first, if it is not there. */
export async function kernelBuild(options: ProvisionOptions = {}): Promise<KernelBuild> {
  const context = new Context(options);
  if (context.given.kernel !== undefined) return givenKernelBuild(context, context.given.kernel);
  requireBuildTools(context);
  if (findKernel(context) === undefined) await provision(options);
  const kernel = findKernel(context);
  if (kernel === undefined) throw new Error('provisioning has left no kernel in the cache');
  const compiler =
    (await findCompiler(context)) ?? (await withProvisioningLock(context, () => requireCompiler(context)));
  const ingredients = { recipe: RECIPE, kernel: path.basename(kernel.folder), compiler: compiler.command };
  const entry =
    context.cache.find<Manifest>('kernel-build', ingredients) ?? (await unpack(context, kernel, compiler, ingredients));
  return { folder: path.join(entry.folder, entry.manifest.headers), release: kernel.manifest.release };
}

/** Builds the modules of a folder that has a Kbuild file (or a Makefile that serves as one); gives back the .ko files. */
export async function buildModules(folder: string, options: ProvisionOptions = {}): Promise<string[]> {
  const source = path.resolve(folder);
  const attempted = `building the kernel modules of ${source}`;
  if (!['Kbuild', 'Makefile'].some((name) => existsSync(path.join(source, name)))) {
    const cure = 'write one: "obj-m += NAME.o" for a module of the one source NAME.c';
    throw new ProvisionError({ attempted, seen: 'there is no Kbuild file in it', cure });
  }
  const { folder: kernel } = await kernelBuild(options);
  const args = ['-s', `-j${availableParallelism()}`, '-C', kernel, `M=${source}`, 'modules'];
  await runTool('make', args, {
    attempted,
    cure: `put right what the compiler says above; the command was: make ${args.join(' ')}`,
    env: { MAKEFLAGS: '' },
    signal: options.signal,
  });
  return findModules(source);
}

/** A kernel of the user's own is built against where its distribution or its builder says. */
function givenKernelBuild({ guestArch }: Context, kernel: string): KernelBuild {
  const { release } = checkedKernel(kernel, guestArch);
  const folder = path.join('/lib/modules', release, 'build');
  if (existsSync(path.join(folder, 'Makefile'))) return { folder, release };
  throw new ProvisionError({
    attempted: `looking for the build folder of the given kernel ${release}`,
    seen: `there is no ${folder}`,
    cure: `apt-get install linux-headers-${release}, or name the folder that this kernel was built in to make yourself`,
  });
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
    updateSymbolVersions(path.join(folder, headers, 'Module.symvers'), rebuiltSymbols(kernel));
    makeRelocatable(path.join(folder, headers), context, compiler);
    return { description: `headers of Linux ${release}, to build modules with`, headers };
  };
  const onWait = (): void => progress.report('waiting for another ghostcard that unpacks the headers');
  const entry = await context.cache.publish('kernel-build', ingredients, build, { signal: context.signal, onWait });
  progress.finish(`Linux ${release}`);
  return entry;
}

/** A third of the packages is documents, and headers of other architectures. */
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

/** The kernel refuses a module that was built for other versions of the symbols it uses: those of modules built anew count. */
function updateSymbolVersions(file: string, rebuilt: string): void {
  const lines = [file, rebuilt].flatMap((each) => readFileSync(each, 'utf8').split('\n'));
  const bySymbol = new Map<string | undefined, string>(lines.map((line) => [line.split('\t')[1], line]));
  bySymbol.delete(undefined);
  writeFileSync(file, `${[...bySymbol.values()].join('\n')}\n`);
}

/** The packaged makefile names the folder where it would have been installed; ours finds everything from where it is. */
function makeRelocatable(headers: string, context: Context, compiler: Compiler): void {
  const makefile = path.join(headers, 'Makefile');
  const included = readFileSync(makefile, 'utf8').replaceAll('/usr/src/', '$(here)../');
  const variables = path.join(headers, '.kernelvariables');
  writeFileSync(variables, `${readFileSync(variables, 'utf8')}${compilerAssignments(compiler).join('\n')}\n`);
  writeFileSync(
    makefile,
    [
      "# Builds modules for the kernel of ghostcard's guests: make -C THIS_FOLDER M=YOUR_FOLDER modules",
      'here := $(dir $(realpath $(lastword $(MAKEFILE_LIST))))',
      "# The kernel's helper programs are linked against libraries that came along with them.",
      `export LD_LIBRARY_PATH := $(here)../../lib/${hostFacts(context.hostArch).triplet}`,
      '# The image that BTF would refer to is not here, and the kernel loads modules without.',
      'MAKEOVERRIDES += CONFIG_DEBUG_INFO_BTF_MODULES=',
      included,
    ].join('\n'),
  );
}
