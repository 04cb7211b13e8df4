/** Kernels in the cache, which guests can run without a network. Changes nothing, and counts as no use. */
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { GUEST_ARCHES, type GuestArch, guestFacts, KERNEL_FLAVOURS, type KernelFlavour } from '../basis/arch';
import { cacheKey } from '../cache/cache';
import { entriesOf, readManifest } from '../cache/folder';
import { Context } from './context';
import { type KernelManifest, kernelIngredients } from './kernel-entry';

export interface CachedKernel {
  /** The first two numbers of its release: '6.12'. */
  readonly series: string;
  /** `uname -r` of the guest. */
  readonly release: string;
  readonly flavour: KernelFlavour;
  readonly arch: GuestArch;
  /** Of the entry. */
  readonly folder: string;
}

/** Those that a guest would run now: not ones of an earlier version of ghostcard, or of another suite's host. */
export function cachedKernels({ cache, env }: Pick<Context, 'cache' | 'env'>): CachedKernel[] {
  const entries = entriesOf(cache.folder);
  const names = existsSync(entries) ? readdirSync(entries).filter((name) => /^kernel-[0-9a-f]{16}$/.test(name)) : [];
  return names.flatMap((name) => {
    const folder = path.join(entries, name);
    const release = readManifest<KernelManifest>(folder)?.manifest.release;
    const kernel = release === undefined ? undefined : describe(release);
    if (kernel === undefined) return [];
    const { arch: guestArch, flavour, series: kernelRelease } = kernel;
    const context = new Context({ guestArch, kernel: flavour, kernelRelease, cacheDir: cache.folder, env });
    return name === `kernel-${cacheKey(kernelIngredients(context))}` ? [{ ...kernel, folder }] : [];
  });
}

/** The parts of a release such as '6.12.95+deb12-cloud-amd64'. */
function describe(release: string): Omit<CachedKernel, 'folder'> | undefined {
  const series = /^\d+\.\d+/.exec(release)?.[0];
  if (series === undefined) return undefined;
  for (const arch of GUEST_ARCHES) {
    // The name of the generic kernel is the end of the cloud kernel's.
    for (const flavour of KERNEL_FLAVOURS) {
      if (release.endsWith(`-${guestFacts(arch).kernelPackages[flavour]}`)) return { series, release, flavour, arch };
    }
  }
  return undefined;
}
