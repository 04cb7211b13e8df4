/**
 * The context of every step: the options with their defaults, the cache, and the apt roots for packages. Nothing here
 * uses the network by itself.
 */
import path from 'node:path';
import {
  DEFAULT_KERNEL,
  GUEST_ARCHES,
  type GuestArch,
  type HostArch,
  hostArch,
  hostFacts,
  KERNEL_FLAVOURS,
  type KernelFlavour,
} from '../basis/arch';
import { AptRoot } from '../packages/apt-root';
import {
  type AptSource,
  checkedMirror,
  chooseMirror,
  parseDeb822Sources,
  parseOneLineSources,
} from '../packages/apt-sources';
import { Cache, cacheKey, type Described, type Entry, type Ingredients } from '../cache/cache';
import { cacheFolder, cacheLimitBytes } from '../cache/folder';
import { ProvisionError } from '../basis/errors';
import { readAptSources, readOsRelease } from '../basis/host-files';
import { type Step, StepProgress } from '../basis/progress';
import { backportsOf, hostSuite, QEMU_SUITE, type Suite, suiteOf } from '../packages/suite';
import { type ProvisionOptions } from '../basis/types';
import { importedPacks, type PackedEntry, type PackManifest, partOf } from '../packs/imported';

/** Libraries of a compiler that no program for the guest uses. */
const SANITIZERS = 'libasan8 libhwasan0 liblsan0 libtsan2 libubsan1 libitm1 libgomp1 libatomic1 libstdc++6'.split(' ');
const CROSS_SANITIZERS = SANITIZERS.flatMap((name) =>
  ['amd64', 'arm64'].map((arch) => `${name}-${arch}-cross (= 999)`),
);
/**
 * Dependencies of the packages of kernels and compilers that a build in the cache does not need, or that the host has.
 */
const BUILD_PROVIDED = [
  ...['kmod', 'linux-base (= 999)', 'initramfs-tools (= 999)', 'linux-initramfs-tool', 'pahole (= 999)'],
  ...['libc6 (= 999)', 'zlib1g (= 99:999)', 'liblzma5 (= 999)', 'libzstd1 (= 999)'],
  ...['libssl3 (= 999)', 'libssl3t64 (= 999)', 'binutils (= 999)', 'gcc-12 (= 999)', 'gcc-14 (= 999)'],
  ...['libgcc-s1 (= 999)', 'libstdc++6 (= 999)', 'gcc-12-base (= 999)', 'gcc-14-base (= 999)'],
  ...CROSS_SANITIZERS,
];
/** A native compiler itself needs libstdc++6. */
const NO_SANITIZERS = [
  ...SANITIZERS.filter((name) => name !== 'libstdc++6').map((name) => `${name} (= 999)`),
  ...CROSS_SANITIZERS,
];
/**
 * The same for the kernels of a suite that is not the host's: their helper programs are run with the libraries of their
 * own suite (own-libraries.ts).
 */
const FOREIGN_BUILD_PROVIDED = [
  ...['kmod', 'linux-base (= 999)', 'initramfs-tools (= 999)', 'linux-initramfs-tool', 'pahole (= 999)'],
  ...['binutils (= 999)', 'gcc-12 (= 999)', 'gcc-14 (= 999)', 'gcc-14-for-host (= 999)'],
];
/** QEMU's packages need these only for their installation scripts, which are not run. */
const QEMU_PROVIDED = ['adduser (= 999)'];
export class Context {
  readonly guestArch: GuestArch;
  readonly hostArch: HostArch;
  readonly env: NodeJS.ProcessEnv;
  readonly cache: Cache;
  readonly signal: AbortSignal | undefined;
  /** Which of Debian's kernels, if `given` has none. */
  readonly kernelFlavour: KernelFlavour;
  readonly #kernelRelease: string | undefined;
  readonly given: { qemu?: string; kernel?: string; modules?: string; busybox?: string };
  readonly #options: ProvisionOptions;
  readonly #aptRoots = new Map<string, AptRoot>();
  #packs: readonly Entry<PackManifest>[] | undefined;

  constructor(options: ProvisionOptions) {
    this.#options = options;
    this.env = options.env ?? process.env;
    this.guestArch = checkedArch(options.guestArch ?? 'amd64');
    this.hostArch = hostArch();
    this.signal = options.signal;
    const folder = options.cacheDir === undefined ? cacheFolder(this.env) : path.resolve(options.cacheDir);
    this.cache = new Cache(folder, cacheLimitBytes(this.env));
    const given = (option: string | undefined, variable: string): string | undefined =>
      option ?? (this.env[variable] === '' ? undefined : this.env[variable]);
    const kernel = given(options.kernel, 'GHOSTCARD_KERNEL');
    const flavour = KERNEL_FLAVOURS.find((name) => name === kernel);
    this.kernelFlavour = flavour ?? DEFAULT_KERNEL;
    this.#kernelRelease = checkedRelease(given(options.kernelRelease, 'GHOSTCARD_KERNEL_RELEASE'));
    this.given = definedOnly({
      qemu: given(options.qemu, 'GHOSTCARD_QEMU'),
      kernel: flavour === undefined ? kernel : undefined,
      modules: given(options.modules, 'GHOSTCARD_MODULES'),
      busybox: given(options.busybox, 'GHOSTCARD_BUSYBOX'),
    });
  }

  progress(step: Step): StepProgress {
    return new StepProgress(step, this.#options.onProgress);
  }

  /** The host's Debian suite. @throws ProvisionError that says what to provide instead */
  suite(): Suite {
    return hostSuite(readOsRelease());
  }

  /** The first two numbers of the release that was asked for. */
  get askedRelease(): string | undefined {
    return this.#kernelRelease;
  }

  /** The release that was asked for, if it is not that of the host's suite. */
  get otherRelease(): string | undefined {
    return this.#kernelRelease === suiteOf(readOsRelease())?.kernel ? undefined : this.#kernelRelease;
  }

  /**
   * The entry of a step in an imported pack, if it was made from these ingredients, among others: those that do not
   * depend on the machine that the pack was exported on.
   */
  packed<M extends Described>(
    step: string,
    ingredients: Ingredients,
    fits: (entry: PackedEntry<M>) => boolean = () => true,
  ): Entry<M> | undefined {
    for (const pack of this.#importedPacks()) {
      const entry = partOf<M>(pack, step, ingredients);
      if (entry !== undefined && fits(entry)) return entry;
    }
    return undefined;
  }

  /** What the imported packs have, for people. */
  get packs(): readonly string[] {
    return this.#importedPacks().map(({ manifest }) => manifest.description);
  }

  #importedPacks(): readonly Entry<PackManifest>[] {
    return (this.#packs ??= importedPacks(this.cache));
  }

  mirror(): string {
    if (this.env.GHOSTCARD_MIRROR) return checkedMirror(this.env.GHOSTCARD_MIRROR);
    return chooseMirror(this.aptSources(), this.suite().codename).replace(/\/+$/, '');
  }

  aptSources(): AptSource[] {
    return readAptSources().flatMap(({ name, text }) =>
      name.endsWith('.sources') ? parseDeb822Sources(text) : parseOneLineSources(text),
    );
  }

  /** Packages of the host's suite: its kernel, the tools that build its modules, a cross compiler, busybox. */
  hostSuiteApt(): AptRoot {
    return this.#aptRoot({
      suites: [this.suite().codename],
      architectures: [...new Set([this.hostArch, this.guestArch])],
      provided: BUILD_PROVIDED,
    });
  }

  /** The kernels of a suite and of its backports, for all architectures of guests, with what builds their modules. */
  kernelsApt(suite: Suite): AptRoot {
    const isHosts = suite.codename === this.suite().codename;
    return this.#aptRoot({
      suites: [suite.codename, backportsOf(suite)],
      architectures: [...new Set([this.hostArch, ...GUEST_ARCHES])],
      provided: isHosts ? BUILD_PROVIDED : FOREIGN_BUILD_PROVIDED,
    });
  }

  /** The compiler of a suite that is not the host's, with all its libraries. */
  foreignCompilerApt(suite: Suite): AptRoot {
    return this.#aptRoot({ suites: [suite.codename], architectures: [this.hostArch], provided: NO_SANITIZERS });
  }

  /** The suite that has a QEMU with a vfio-user client, and its libraries. */
  qemuApt(): AptRoot {
    return this.#aptRoot({
      suites: [QEMU_SUITE.base, QEMU_SUITE.backports],
      architectures: [this.hostArch],
      provided: QEMU_PROVIDED,
      targetSuite: QEMU_SUITE.backports,
    });
  }

  /** Sources of newer kernels than the host's suite may have; of these packages nothing is run on the host. */
  newerSourcesApt(): AptRoot {
    return this.#aptRoot({
      suites: [QEMU_SUITE.base, QEMU_SUITE.backports],
      architectures: [this.hostArch],
      provided: [...BUILD_PROVIDED, 'xz-utils (= 999)'],
    });
  }

  /**
   * Packages of the host's suite for programs that run on the host, such as those that only tests use.
   * @param provided packages that are not fetched, with versions that satisfy every dependency: `libc6 (= 999)`
   */
  hostProgramsApt(provided: string[]): AptRoot {
    return this.#aptRoot({ suites: [this.suite().codename], architectures: [this.hostArch], provided });
  }

  #aptRoot(what: { suites: string[]; architectures: string[]; provided: string[]; targetSuite?: string }): AptRoot {
    const mirror = this.mirror();
    const folder = this.cache.aptFolder(`${what.suites[0]}-${cacheKey({ ...what, mirror })}`);
    const known = this.#aptRoots.get(folder);
    if (known !== undefined) return known;
    if (/["\\]/.test(folder)) throw awkwardCachePath(folder);
    const root = new AptRoot({ ...what, mirror, folder, signal: this.signal });
    this.#aptRoots.set(folder, root);
    return root;
  }

  /** The folder of shared libraries in unpacked packages for the host's architecture. */
  libraryFolder(unpacked: string): string {
    return path.join(unpacked, 'usr/lib', hostFacts(this.hostArch).triplet);
  }
}

/** For callers in plain JavaScript. */
function checkedArch(arch: GuestArch): GuestArch {
  if (GUEST_ARCHES.includes(arch)) return arch;
  throw new ProvisionError({
    attempted: 'choosing the architecture of the guest',
    seen: `it is ${JSON.stringify(arch)}`,
    cure: `use one of ${GUEST_ARCHES.join(', ')}`,
  });
}

function checkedRelease(release: string | undefined): string | undefined {
  if (release === undefined || /^\d+\.\d+$/.test(release)) return release;
  throw new ProvisionError({
    attempted: "choosing the release of the guest's kernel",
    seen: `it is ${JSON.stringify(release)}`,
    cure: "give --kernel-release (or GHOSTCARD_KERNEL_RELEASE) the first two numbers, such as 6.12; 'ghostcard kernels' lists them",
  });
}

/** apt's configuration and the kernel's makefiles do not support every path. */
export function awkwardCachePath(folder: string): ProvisionError {
  return new ProvisionError({
    attempted: 'preparing the cache',
    seen: `its path is ${JSON.stringify(folder)}; blanks, colons, quotes and backslashes do not work with make and apt`,
    cure: 'set GHOSTCARD_CACHE to a folder whose path has none of these',
  });
}

function definedOnly<T extends Record<string, string | undefined>>(values: T): { [K in keyof T]?: string } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: string;
  };
}
