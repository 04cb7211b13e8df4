/**
 * The context of every step: the options with their defaults, the cache, and the apt roots for packages. Nothing here
 * uses the network by itself.
 */
import { readFileSync } from 'node:fs';
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
import { Cache, cacheKey } from '../cache/cache';
import { cacheFolder, cacheLimitBytes } from '../cache/folder';
import { ProvisionError } from '../basis/errors';
import { readAptSources } from '../basis/host-files';
import { type Step, StepProgress } from '../basis/progress';
import { type HostSuite, hostSuite, QEMU_SUITE } from '../packages/suite';
import { type ProvisionOptions } from '../basis/types';

/** Libraries of a compiler that no program for the guest uses. */
const SANITIZERS = 'libasan8 libhwasan0 liblsan0 libtsan2 libubsan1 libitm1 libgomp1 libatomic1 libstdc++6'.split(' ');
/**
 * Dependencies of the packages of kernels and compilers that a build in the cache does not need, or that the host has.
 */
const BUILD_PROVIDED = [
  ...['kmod', 'linux-base (= 999)', 'initramfs-tools (= 999)', 'linux-initramfs-tool', 'pahole (= 999)'],
  ...['libc6 (= 999)', 'zlib1g (= 99:999)', 'liblzma5 (= 999)', 'libzstd1 (= 999)'],
  ...['libssl3 (= 999)', 'libssl3t64 (= 999)', 'binutils (= 999)', 'gcc-12 (= 999)', 'gcc-14 (= 999)'],
  ...['libgcc-s1 (= 999)', 'libstdc++6 (= 999)', 'gcc-12-base (= 999)', 'gcc-14-base (= 999)'],
  ...SANITIZERS.flatMap((name) => ['amd64', 'arm64'].map((arch) => `${name}-${arch}-cross (= 999)`)),
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
  readonly given: { qemu?: string; kernel?: string; modules?: string; busybox?: string };
  readonly #options: ProvisionOptions;
  readonly #aptRoots = new Map<string, AptRoot>();

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
  suite(): HostSuite {
    return hostSuite(readFileSync('/etc/os-release', 'utf8'));
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

  /** Packages of the host's suite: the guest's kernel, the tools that build its modules, a cross compiler, busybox. */
  hostSuiteApt(): AptRoot {
    return this.#aptRoot({
      suites: [this.suite().codename],
      architectures: [...new Set([this.hostArch, this.guestArch])],
      provided: BUILD_PROVIDED,
    });
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
