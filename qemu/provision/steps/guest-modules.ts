/**
 * ghostcard's kernel modules for the guest (guest-tools/modules), built against the headers of its kernel and against
 * the rebuilt modules. They are a separate entry in the cache, so that nothing else is rebuilt after a change.
 *
 * Source: Linux Documentation/kbuild/modules.rst.
 */
import { copyFileSync, cpSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { inPackage } from '../../../emulator/folders';
import { type Described, type Entry, type Ingredients } from '../cache/cache';
import { requireCompiler } from './compiler';
import { type Context } from './context';
import { sourceDigest } from './guest-tools';
import { type KernelEntry, kernelKey, privateHeaders, suiteOf } from './kernel-entry';
import { kernelHeaders } from './kernel-headers';
import { findModules, requireBuildTools, WITHOUT_DEBUG_INFO } from './kernel-modules';
import { runTool } from '../basis/tools';

const RECIPE = 1;
const SOURCE = inPackage('guest-tools/modules');

type GuestModulesEntry = Entry<Described>;

export const guestModules = ({ folder }: GuestModulesEntry): string[] => findModules(folder);

export const guestModulesIngredients = (kernel: KernelEntry): Ingredients => ({
  recipe: RECIPE,
  kernel: kernelKey(kernel),
  source: sourceDigest(SOURCE),
});

export function findGuestModules(context: Context, kernel: KernelEntry): GuestModulesEntry | undefined {
  const ingredients = guestModulesIngredients(kernel);
  return (
    context.packed<Described>('guest-modules', ingredients) ??
    context.cache.find<Described>('guest-modules', ingredients)
  );
}

/** Builds them. Call it with the provisioning lock held. */
export async function buildGuestModules(context: Context, kernel: KernelEntry): Promise<GuestModulesEntry> {
  requireBuildTools(context);
  const compiler = await requireCompiler(context, suiteOf(context, kernel));
  const headers = await kernelHeaders(context, kernel, compiler);
  const progress = context.progress('modules');
  const { release } = kernel.manifest;
  const ingredients = guestModulesIngredients(kernel);
  const entry = await context.cache.publish<Described>('guest-modules', ingredients, async (folder) => {
    const scratch = path.join(folder, 'scratch');
    cpSync(SOURCE, scratch, { recursive: true });
    for (const name of readdirSync(privateHeaders(kernel))) {
      copyFileSync(path.join(privateHeaders(kernel), name), path.join(scratch, name));
    }
    const parallel = `-j${availableParallelism()}`;
    await progress.during('compiling guest-tools/modules', () =>
      runTool('make', ['-s', parallel, '-C', headers, `M=${scratch}`, ...WITHOUT_DEBUG_INFO, 'modules'], {
        attempted: `compiling guest-tools/modules for ${release}`,
        cure: 'correct the errors that the compiler reports above, if you have changed the source; otherwise please report it',
        env: { MAKEFLAGS: '' },
        signal: context.signal,
      }),
    );
    const built = findModules(scratch);
    for (const file of built) renameSync(file, path.join(folder, path.basename(file)));
    rmSync(scratch, { recursive: true });
    return { description: `kernel modules of guest-tools for Linux ${release}` };
  });
  progress.finish(
    guestModules(entry)
      .map((file) => path.basename(file))
      .join(', '),
  );
  return entry;
}
