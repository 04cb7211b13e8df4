/**
 * A folder for building the user's kernel modules in the usual way, `make -C FOLDER M=$PWD modules`: the headers of the
 * guest's kernel, unpacked on first use from packages that were downloaded with the kernel. Nothing is downloaded.
 *
 * Source: Linux Documentation/kbuild/modules.rst.
 */
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { Context } from './steps/context';
import { ProvisionError } from './basis/errors';
import { checkedKernel } from './steps/given-kernel';
import { findCompiler, requireCompiler } from './steps/compiler';
import { findKernel, suiteOf } from './steps/kernel-entry';
import { kernelHeaders } from './steps/kernel-headers';
import { findModules, requireBuildTools } from './steps/kernel-modules';
import { provision, withProvisioningLock } from './provision';
import { runTool } from './basis/tools';
import { type ProvisionOptions } from './basis/types';

/** A folder for building kernel modules for the guest's kernel. */
export interface KernelBuild {
  /** For `make -C`. Also contains .config, Module.symvers and include, as /lib/modules/RELEASE/build does. */
  readonly folder: string;
  /** The kernel's release, with which a module's vermagic must begin. */
  readonly release: string;
}

/**
 * The folder for building modules for the guest's kernel. Provisions that kernel first, if necessary. @throws
 * ProvisionError
 */
export async function kernelBuild(options: ProvisionOptions = {}): Promise<KernelBuild> {
  const context = new Context(options);
  if (context.given.kernel !== undefined) return givenKernelBuild(context, context.given.kernel);
  requireBuildTools(context);
  if (findKernel(context) === undefined) await provision(options);
  const kernel = findKernel(context);
  if (kernel === undefined) throw new Error('there is no kernel in the cache after provisioning');
  const suite = suiteOf(context, kernel);
  const compiler =
    (await findCompiler(context, suite)) ??
    (await withProvisioningLock(context, () => requireCompiler(context, suite)));
  return { folder: await kernelHeaders(context, kernel, compiler), release: kernel.manifest.release };
}

/**
 * Builds the modules of a folder with a Kbuild file (or a Makefile that serves as one), and returns the paths of the
 * .ko files. @throws ProvisionError
 */
export async function buildModules(folder: string, options: ProvisionOptions = {}): Promise<string[]> {
  const source = path.resolve(folder);
  const attempted = `building the kernel modules of ${source}`;
  if (!['Kbuild', 'Makefile'].some((name) => existsSync(path.join(source, name)))) {
    const cure = 'write one: "obj-m += NAME.o" for a module with the single source NAME.c';
    throw new ProvisionError({ attempted, seen: 'there is no Kbuild file in it', cure });
  }
  const { folder: kernel } = await kernelBuild(options);
  const args = ['-s', `-j${availableParallelism()}`, '-C', kernel, `M=${source}`, 'modules'];
  await runTool('make', args, {
    attempted,
    cure: `correct the errors that the compiler reports above; the command was: make ${args.join(' ')}`,
    env: { MAKEFLAGS: '' },
    signal: options.signal,
  });
  return findModules(source);
}

/** The build folder of a kernel of the user, as its distribution or its builder provides it. */
function givenKernelBuild(context: Context, kernel: string): KernelBuild {
  const { release } = checkedKernel(kernel, context);
  const folder = path.join('/lib/modules', release, 'build');
  if (existsSync(path.join(folder, 'Makefile'))) return { folder, release };
  throw new ProvisionError({
    attempted: `looking for the build folder of the given kernel ${release}`,
    seen: `there is no ${folder}`,
    cure: `apt-get install linux-headers-${release}, or run make with the folder that this kernel was built in`,
  });
}
