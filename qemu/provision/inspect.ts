/**
 * What provisioning would find, use and fetch, as data for `ghostcard doctor`. Examines only this machine: uses no
 * network, builds nothing, and does not change the cache.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { cachedKernels, type CachedKernel } from './steps/cached-kernels';
import { findBusybox } from './steps/busybox';
import { findCompiler, isForeign } from './steps/compiler';
import { Context } from './steps/context';
import { ProvisionError, type Failure } from './basis/errors';
import { checkedKernel, modulesForGiven } from './steps/given-kernel';
import { findGuestModules, guestModules } from './steps/guest-modules';
import { findGuestTools } from './steps/guest-tools';
import { findKernel } from './steps/kernel-entry';
import { requireBuildTools } from './steps/kernel-modules';
import { type Step } from './basis/progress';
import { findQemu } from './steps/qemu';
import { QEMU_SUITE, systemName } from './packages/suite';
import { readOsRelease } from './basis/host-files';
import { findTool, missingTool } from './basis/tools';
import { type ProvisionOptions } from './basis/types';

export type PartState = 'ready' | 'to be fetched' | 'to be built' | 'wrong';

export interface PartReport {
  readonly step: Exclude<
    Step,
    'cache' | 'pack' | 'kernel-build' | 'initramfs' | 'browser' | 'gtkwave' | 'kernel-source' | 'dpdk' | 'clang'
  >;
  readonly state: PartState;
  /** What was found and where, or what would be done. */
  readonly detail: string;
  /** Approximate sizes of the download and of the result in the cache. */
  readonly downloadBytes?: number;
  readonly diskBytes?: number;
  /** Space in the cache that is needed while it is made. */
  readonly peakBytes?: number;
}

export interface Inspection {
  readonly host: {
    readonly arch: string;
    /** What it calls itself. */
    readonly system: string;
    readonly suite?: string;
    readonly mirror?: string;
    readonly kvmNode: boolean;
  };
  readonly cacheDir: string;
  readonly parts: readonly PartReport[];
  /** What the imported packs have. */
  readonly packs: readonly string[];
  /** The kernels that need no network. */
  readonly cachedKernels: readonly CachedKernel[];
  /** What prevents provisioning, with the remedy. Empty if nothing does. */
  readonly problems: readonly Failure[];
  /** Sums over the parts. */
  readonly downloadBytes: number;
  readonly diskBytes: number;
  /** The space that the cache temporarily needs; parts are made one after the other. */
  readonly peakBytes: number;
}

/** Measured in 2026-11, including package lists. For information only, never for decisions. */
const ROUGH_BYTES = {
  qemu: { downloadBytes: 45e6, diskBytes: 109e6, peakBytes: 230e6 },
  cloud: { downloadBytes: 191e6, diskBytes: 180e6, peakBytes: 447e6 },
  generic: { downloadBytes: 235e6, diskBytes: 494e6, peakBytes: 800e6 },
  compiler: { downloadBytes: 41e6, diskBytes: 82e6, peakBytes: 250e6 },
  busybox: { downloadBytes: 1e6, diskBytes: 4e6, peakBytes: 5e6 },
} as const;

export async function inspect(options: ProvisionOptions = {}): Promise<Inspection> {
  const context = new Context(options);
  const problems: Failure[] = [];
  /** Returns the value, or undefined and records the failure. */
  const attempt = async <T>(work: () => T | Promise<T>): Promise<T | undefined> => {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof ProvisionError)) throw error;
      const { attempted, seen, cure } = error;
      if (!problems.some((other) => other.seen === seen)) problems.push({ attempted, seen, cure });
      return undefined;
    }
  };
  const suite = suiteOrNothing(context);
  const { kernelFlavour: flavour } = context;
  const parts = [
    await inspectPart('qemu', fetched(`the packages of ${QEMU_SUITE.backports}`, 'qemu'), attempt, async () => {
      const qemu = await findQemu(context);
      return qemu && `QEMU ${qemu.version} (${qemu.origin})`;
    }),
    await inspectPart(
      'kernel',
      fetched(`${missingKernel(context, suite)}; its modules are built`, flavour),
      attempt,
      () => inspectKernel(context),
    ),
    ...(context.given.kernel === undefined && context.given.modules === undefined
      ? [
          await inspectPart(
            'modules',
            { detail: "the folder guest-tools/modules, for the guest's kernel" },
            attempt,
            () => inspectModules(context),
          ),
        ]
      : []),
    await inspectPart('busybox', fetched(`busybox-static of ${suite ?? 'the suite'}`, 'busybox'), attempt, () =>
      findBusybox(context),
    ),
    await inspectPart('guest-tools', { detail: 'the guest-tools folder' }, attempt, async () => {
      const entry = await findGuestTools(context);
      return entry && `agent, ${entry.manifest.programs.join(', ')}`;
    }),
  ];
  if (isForeign(context) && parts.some(({ step, state }) => BUILT.includes(step) && state !== 'ready')) {
    parts.splice(1, 0, await inspectCompiler(context, attempt));
  }
  let mirror: string | undefined;
  if (parts.some(({ state }) => state === 'to be fetched')) {
    mirror = await attempt(() => context.mirror());
    for (const tool of ['apt-get', 'dpkg-deb']) {
      await attempt(() => {
        if (findTool(tool) === undefined) throw missingTool(tool, 'fetching packages');
      });
    }
  }
  if (parts.some(({ step, state }) => KERNEL_PARTS.includes(step) && state.startsWith('to be'))) {
    await attempt(() => requireBuildTools(context));
  }
  if (parts.some(({ state }) => state === 'to be built')) {
    await attempt(() => {
      if (findTool('make') === undefined) throw missingTool('make', "building the guest's tools");
    });
  }
  const sum = (field: 'downloadBytes' | 'diskBytes'): number =>
    parts.reduce((all, part) => all + (part[field] ?? 0), 0);
  return {
    host: {
      arch: context.hostArch,
      system: systemName(readOsRelease()),
      kvmNode: existsSync('/dev/kvm'),
      ...(suite === undefined ? {} : { suite }),
      ...(mirror === undefined ? {} : { mirror }),
    },
    cacheDir: context.cache.folder,
    parts,
    packs: context.packs,
    cachedKernels: suite === undefined ? [] : cachedKernels(context),
    problems,
    downloadBytes: sum('downloadBytes'),
    diskBytes: sum('diskBytes'),
    peakBytes: peakOf(parts),
  };
}

/** The maximum size of the cache at any time while the parts are made. */
function peakOf(parts: readonly PartReport[]): number {
  let made = 0;
  let peak = 0;
  for (const { diskBytes = 0, peakBytes = 0 } of parts) {
    peak = Math.max(peak, made + peakBytes);
    made += diskBytes;
  }
  return peak;
}

/** The suite, only for display; steps that need it report its absence. */
function suiteOrNothing(context: Context): string | undefined {
  try {
    return context.suite().codename;
  } catch (error) {
    if (error instanceof ProvisionError) return undefined;
    throw error;
  }
}

const KERNEL_PARTS: readonly string[] = ['kernel', 'modules'];
/** The parts that need a compiler. If all are ready, no compiler is needed. */
const BUILT: readonly string[] = [...KERNEL_PARTS, 'guest-tools'];

function inspectCompiler(context: Context, attempt: Attempt): Promise<PartReport> {
  return inspectPart(
    'compiler',
    fetched(`the cross compiler for ${context.guestArch}`, 'compiler'),
    attempt,
    async () => {
      const compiler = await findCompiler(context);
      return compiler && `${compiler.command} (${compiler.origin})`;
    },
  );
}

type Attempt = <T>(work: () => T | Promise<T>) => Promise<T | undefined>;

/** What would be done for a part that is not there; without a download, it is built. */
type Missing = Omit<PartReport, 'step' | 'state'>;

const fetched = (detail: string, bytes: keyof typeof ROUGH_BYTES): Missing => ({ detail, ...ROUGH_BYTES[bytes] });

async function inspectPart(
  step: PartReport['step'],
  missing: Missing,
  attempt: Attempt,
  find: () => string | undefined | Promise<string | undefined>,
): Promise<PartReport> {
  const NOT_THERE = '';
  const found = await attempt(async () => (await find()) ?? NOT_THERE);
  if (found === undefined) return { step, state: 'wrong', detail: 'see the problems' };
  if (found !== NOT_THERE) return { step, state: 'ready', detail: found };
  return { step, state: missing.downloadBytes === undefined ? 'to be built' : 'to be fetched', ...missing };
}

function missingKernel(context: Context, suite: string | undefined): string {
  const { kernelFlavour: flavour } = context;
  if (suite === undefined) return `the ${flavour} kernel of the suite`;
  const { otherRelease } = context;
  return otherRelease === undefined
    ? `the ${flavour} kernel of ${suite}`
    : `the ${flavour} kernel ${otherRelease} of the first suite or backports that have it`;
}

function inspectKernel(context: Context): string | undefined {
  const { kernel, modules } = context.given;
  if (kernel !== undefined) {
    const { imagePath, release } = checkedKernel(kernel, context);
    modulesForGiven(modules, release);
    return `Linux ${release} (given: ${imagePath})`;
  }
  const entry = findKernel(context);
  const { release, origin = context.suite().codename } = entry?.manifest ?? {};
  return release && `Linux ${release} (Debian ${origin})`;
}

/** ghostcard's own modules, which are built against the kernel, and rebuilt after a change. */
function inspectModules(context: Context): string | undefined {
  const kernel = findKernel(context);
  const entry = kernel && findGuestModules(context, kernel);
  return (
    entry &&
    guestModules(entry)
      .map((file) => path.basename(file))
      .join(', ')
  );
}
