/**
 * Provides everything that a guest needs, found or made: QEMU, kernel with modules, busybox, the guest's tools, and the
 * initramfs of these. If everything is in the cache, no lock is taken, nothing is fetched and nothing is built.
 */
import path from 'node:path';
import { type Described, type Entry } from './cache/cache';
import { observerEntry } from './observer';
import { busyboxProgram, cachedBusybox, fetchBusybox, findBusybox } from './steps/busybox';
import { explainCacheError } from './cache/folder';
import { Context } from './steps/context';
import { DEFAULT_KERNEL } from './basis/arch';
import { checkedKernel, fingerprint, modulesForGiven } from './steps/given-kernel';
import { buildGuestModules, findGuestModules, guestModules } from './steps/guest-modules';
import { buildGuestTools, findGuestTools } from './steps/guest-tools';
import { buildInitramfs, findInitramfs } from './steps/initramfs';
import { fetchKernel } from './steps/kernel';
import { findKernel, kernelImage, kernelKey, kernelModules } from './steps/kernel-entry';
import { requireBuildTools } from './steps/kernel-modules';
import { cachedQemu, fetchedQemu, fetchQemu, findQemu } from './steps/qemu';
import { withLock, tryLock } from './cache/lock';
import { type Provisioned, type ProvisionedKernel, type ProvisionOptions } from './basis/types';

/** 'make': what is missing is made. 'find': the result is undefined if something is missing. */
type Mode = 'find' | 'make';

/** Finds or fetches QEMU, a kernel and tools, and builds what guests need, into the cache. @throws ProvisionError */
export async function provision(options: ProvisionOptions = {}): Promise<Provisioned> {
  const context = new Context(options);
  context.signal?.throwIfAborted();
  const found = await assemble(context, 'find');
  if (found !== undefined) return found;
  return await withProvisioningLock(context, async () => {
    await context.cache.removeLeftovers();
    const made = await assemble(context, 'make');
    if (made === undefined) throw new Error('a step neither found nor made its result');
    return made;
  });
}

/** Runs `work`, which may fetch packages, while no other process does. Its downloads are removed when it is done. */
export async function withProvisioningLock<T>(context: Context, work: () => Promise<T>): Promise<T> {
  const progress = context.progress('cache');
  const onWait = (pid: number | undefined): void =>
    progress.report(`waiting for another ghostcard (pid ${pid ?? 'unknown'}) that is provisioning`);
  try {
    return await withLock(context.cache.lockFile, { tryLock, onWait, signal: context.signal }, async () => {
      const made = await work();
      context.cache.tidy();
      return made;
    });
  } catch (error) {
    throw explainCacheError(error, context.cache.folder);
  }
}

async function assemble(context: Context, mode: Mode): Promise<Provisioned | undefined> {
  const make = mode === 'make';
  // When finding, all parts are checked before anything is fetched, so that a wrong option is reported at once.
  const qemu = (await findQemu(context)) ?? (make ? fetchedQemu(context, await fetchQemu(context)) : undefined);
  const kernel = await kernelOf(context, mode);
  const busybox = findBusybox(context) ?? (make ? busyboxProgram(await fetchBusybox(context)) : undefined);
  const guestTools = (await findGuestTools(context)) ?? (make ? await buildGuestTools(context) : undefined);
  if (qemu === undefined || kernel === undefined || busybox === undefined || guestTools === undefined) return undefined;
  const { ownModules, modulesKey, ...image } = kernel;
  const { release, modulesFolder } = image;
  const sources = { busybox, release, guestTools, modulesFolder, ownModules, modulesKey };
  const initramfsPath = findInitramfs(context, sources) ?? (make ? await buildInitramfs(context, sources) : undefined);
  if (initramfsPath === undefined) return undefined;
  return { arch: context.guestArch, qemu, kernel: image, initramfsPath, cacheDir: context.cache.folder };
}

/** The entries of the cache that guests are made of, as ghostcard itself provides them. What is missing is made. */
export async function entriesOfGuests(context: Context): Promise<readonly Entry<Described>[]> {
  const made = await withProvisioningLock(context, async () => {
    const qemu = cachedQemu(context) ?? (await fetchQemu(context));
    const kernel = findKernel(context) ?? (await fetchKernel(context));
    const modules = findGuestModules(context, kernel) ?? (await buildGuestModules(context, kernel));
    const busybox = cachedBusybox(context) ?? (await fetchBusybox(context));
    const guestTools = (await findGuestTools(context)) ?? (await buildGuestTools(context));
    return [qemu, kernel, modules, busybox, guestTools];
  });
  return [...made, await observerEntry(context)];
}

interface KernelWithModules extends ProvisionedKernel {
  readonly ownModules: readonly string[];
  readonly modulesKey: unknown;
}

/**
 * The kernel and its modules: those of the user, or Debian's. The user may also provide only modules for Debian's
 * kernel.
 */
async function kernelOf(context: Context, mode: Mode): Promise<KernelWithModules | undefined> {
  const { given } = context;
  if (given.kernel !== undefined) {
    const image = checkedKernel(given.kernel, context);
    const origin = `given: ${image.imagePath}`;
    return { ...image, origin, options: ['--kernel', image.imagePath], ...givenModules(given.modules, image.release) };
  }
  const entry = findKernel(context) ?? (mode === 'make' ? await fetchKernel(context) : undefined);
  if (entry === undefined) {
    requireBuildTools(context);
    return undefined;
  }
  const { release, origin = context.suite().codename } = entry.manifest;
  const { kernelFlavour, otherRelease } = context;
  const image = {
    imagePath: kernelImage(entry),
    release,
    origin: `Debian ${origin}, ${kernelFlavour}`,
    options: [
      ...(kernelFlavour === DEFAULT_KERNEL ? [] : ['--kernel', kernelFlavour]),
      ...(otherRelease === undefined ? [] : ['--kernel-release', otherRelease]),
    ],
  };
  if (given.modules !== undefined) return { ...image, ...givenModules(given.modules, release) };
  const own =
    findGuestModules(context, entry) ?? (mode === 'make' ? await buildGuestModules(context, entry) : undefined);
  if (own === undefined) return undefined;
  return {
    ...image,
    modulesFolder: kernelModules(entry),
    ownModules: guestModules(own),
    modulesKey: [kernelKey(entry), path.basename(own.folder)],
  };
}

function givenModules(
  given: string | undefined,
  release: string,
): Pick<KernelWithModules, 'modulesFolder' | 'ownModules' | 'modulesKey'> {
  const modules = modulesForGiven(given, release);
  if (modules === undefined) return { ownModules: [], modulesKey: [] };
  return { modulesFolder: modules.folder, ownModules: [], modulesKey: fingerprint(modules.files) };
}
