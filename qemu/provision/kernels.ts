/**
 * The kernels that guests can have: what Debian's suites and their backports offer, and what is in the cache. For
 * `ghostcard kernels`; the package lists are fetched, nothing else.
 */
import path from 'node:path';
import { type GuestArch, guestFacts, type KernelFlavour } from './basis/arch';
import { type Failure, ProvisionError } from './basis/errors';
import { type ProvisionOptions } from './basis/types';
import { listCache } from './cache/items';
import { compareVersions } from './packages/kernel-list';
import { withProvisioningLock } from './provision';
import { cachedKernels } from './steps/cached-kernels';
import { Context } from './steps/context';
import { offersOf, originOf, type OfferedKernel, suitesFor } from './steps/kernel-source';

export interface ListedKernel {
  /** The value of --kernel-release: '6.12'. */
  readonly series: string;
  /** The value of --kernel. */
  readonly flavour: KernelFlavour;
  readonly arch: GuestArch;
  /** `uname -r` of the guest; of the one in the cache, if there is one. */
  readonly release: string;
  /** The suite that offers it. Absent when none does, or when that is unknown. */
  readonly origin?: string;
  /** What is fetched for it, approximately. */
  readonly downloadBytes?: number;
  /** Its size in the cache, if it is there. */
  readonly cachedBytes?: number;
  /** Whether it is of the host's own suite, whose release needs no option. */
  readonly isDefault: boolean;
}

export interface KernelList {
  readonly kernels: readonly ListedKernel[];
  /** Why the package lists could not be fetched: then there is only what is in the cache. */
  readonly problem?: Failure;
}

/** All kernels, by release, architecture and flavour. */
export async function listKernels(options: ProvisionOptions = {}): Promise<KernelList> {
  const context = new Context(options);
  const { problem, offered } = await offersOrProblem(context);
  const ownSeries = context.suite().kernel;
  const rows = new Map<string, ListedKernel>();
  const add = (row: Omit<ListedKernel, 'isDefault'>): void => {
    const key = `${row.series} ${row.arch} ${row.flavour}`;
    rows.set(key, { ...rows.get(key), ...row, isDefault: row.series === ownSeries });
  };
  // The first suite that offers a release is the one that it is taken from.
  for (const offer of [...offered].reverse()) {
    const { series, flavour, arch, version, downloadBytes } = offer;
    const release = `${version}-${guestFacts(arch).kernelPackages[flavour]}`;
    add({ ...{ series, flavour, arch, release, downloadBytes }, origin: originOf(offer) });
  }
  const sizes = new Map((await listCache(context.cache.folder)).map(({ name, bytes }) => [path.basename(name), bytes]));
  for (const { series, flavour, arch, release, folder } of cachedKernels(context)) {
    add({ series, flavour, arch, release, cachedBytes: sizes.get(path.basename(folder)) ?? 0 });
  }
  const kernels = [...rows.values()].sort(
    (a, b) => compareVersions(a.series, b.series) || a.arch.localeCompare(b.arch) || a.flavour.localeCompare(b.flavour),
  );
  return { kernels, ...(problem && { problem }) };
}

async function offersOrProblem(context: Context): Promise<{ offered: OfferedKernel[]; problem?: Failure }> {
  const progress = context.progress('kernel');
  try {
    const offered = await withProvisioningLock(context, async () => {
      const all: OfferedKernel[] = [];
      for (const suite of suitesFor(context)) all.push(...(await offersOf(context, suite, progress)));
      return all;
    });
    return { offered };
  } catch (error) {
    if (!(error instanceof ProvisionError)) throw error;
    const { attempted, seen, cure } = error;
    return { offered: [], problem: { attempted, seen, cure } };
  }
}
