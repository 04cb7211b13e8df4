/**
 * The plugin for QEMU that observes the guest's processors (qemu/observer). It is compiled by the host's compiler on first
 * use, and kept in the cache.
 */
import path from 'node:path';
import { inPackage } from '../../emulator/folders';
import { ProvisionError } from './basis/errors';
import { runTool } from './basis/tools';
import { type ProvisionOptions } from './basis/types';
import { type Described, type Entry } from './cache/cache';
import { explainCacheError } from './cache/folder';
import { compilerVersion } from './steps/compiler';
import { Context } from './steps/context';
import { ownCompiler, sourceDigest } from './steps/guest-tools';

const RECIPE = 1;
const SOURCE = inPackage('qemu/observer');
const SOURCES = ['observer.c', 'guest.c', 'races.c'];
const ATTEMPTED = 'building the observer, a plugin for QEMU (qemu/observer)';
/** Functions of GLib and QEMU stay undefined: QEMU has them. */
const FLAGS = ['-std=gnu11', '-O2', '-Wall', '-Wextra', '-Werror', '-fPIC', '-shared', '-fvisibility=hidden'];

/** Returns its path. @throws ProvisionError */
export const provisionObserver = async (options: ProvisionOptions = {}): Promise<string> =>
  pluginIn((await observerEntry(new Context(options))).folder);

/** @throws ProvisionError */
export async function observerEntry(context: Context): Promise<Entry<Described>> {
  const { hostArch } = context;
  const anywhere = { recipe: RECIPE, hostArch, source: sourceDigest(SOURCE) };
  const packed = context.packed<Described>('observer', anywhere);
  if (packed !== undefined) return packed;
  const compiler = ownCompiler(context, ATTEMPTED);
  const ingredients = { ...anywhere, compiler: await compilerVersion(context, compiler) };
  const found = context.cache.find<Described>('observer', ingredients);
  if (found !== undefined) return found;
  const progress = context.progress('observer');
  const build = async (folder: string) => {
    await runTool(compiler, [...FLAGS, '-o', pluginIn(folder), ...SOURCES.map((name) => path.join(SOURCE, name))], {
      attempted: ATTEMPTED,
      cure: 'apt-get install build-essential, if the compiler or the C library is missing',
      signal: context.signal,
    });
    return { description: "observer of guests' processors, a plugin for QEMU" };
  };
  try {
    const built = await progress.during('compiling', () =>
      context.cache.publish<Described>('observer', ingredients, build),
    );
    progress.finish('compiled');
    return built;
  } catch (error) {
    throw error instanceof ProvisionError ? error : explainCacheError(error, context.cache.folder);
  }
}

const pluginIn = (folder: string): string => path.join(folder, 'observer.so');
