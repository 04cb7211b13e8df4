/**
 * Differences between architectures. Host and guest are separate parameters everywhere, even if both have the same
 * architecture: the host determines which QEMU binary runs, the guest which machine it emulates.
 */
import { ProvisionError } from './errors';

/** Debian's names of architectures. */
export type HostArch = 'amd64' | 'arm64';
/** The architecture of a guest, by Debian's name. */
export type GuestArch = 'amd64' | 'arm64';
export const GUEST_ARCHES: readonly GuestArch[] = ['amd64', 'arm64'];

/**
 * Debian's kernels. `cloud` has drivers for virtual machines only, `generic` those of real machines too: 26 and 70 MB of
 * download, 1121 and 4022 modules.
 */
export const KERNEL_FLAVOURS = ['cloud', 'generic'] as const;
export type KernelFlavour = (typeof KERNEL_FLAVOURS)[number];
export const DEFAULT_KERNEL: KernelFlavour = 'cloud';

interface HostFacts {
  /** Folder of the architecture's libraries, and prefix of the names of its compilers. */
  readonly triplet: string;
  /** File name of glibc's dynamic loader. */
  readonly loader: string;
}

interface GuestFacts {
  /** QEMU's emulator for this machine, and the Debian packages that contain it and its firmware. */
  readonly qemuCommand: string;
  readonly qemuPackages: readonly string[];
  /** The ends of the names of Debian's kernel packages. */
  readonly kernelPackages: Readonly<Record<KernelFlavour, string>>;
  /** The kernel's name of the architecture. */
  readonly kernelArch: string;
  /** Prefix of the names of a compiler's tools: `CROSS_COMPILE`. */
  readonly compilerPrefix: string;
  /** Machine name in Debian's cross compilers: gcc-12-MACHINE. */
  readonly compilerMachine: string;
}

const HOSTS: Record<HostArch, HostFacts> = {
  amd64: { triplet: 'x86_64-linux-gnu', loader: 'ld-linux-x86-64.so.2' },
  arm64: { triplet: 'aarch64-linux-gnu', loader: 'ld-linux-aarch64.so.1' },
};

const GUESTS: Record<GuestArch, GuestFacts> = {
  amd64: {
    qemuCommand: 'qemu-system-x86_64',
    qemuPackages: ['qemu-system-x86', 'qemu-system-data', 'seabios'],
    kernelPackages: { cloud: 'cloud-amd64', generic: 'amd64' },
    kernelArch: 'x86',
    compilerPrefix: 'x86_64-linux-gnu-',
    compilerMachine: 'x86-64-linux-gnu',
  },
  arm64: {
    qemuCommand: 'qemu-system-aarch64',
    qemuPackages: ['qemu-system-arm', 'qemu-system-data'],
    kernelPackages: { cloud: 'cloud-arm64', generic: 'arm64' },
    kernelArch: 'arm64',
    compilerPrefix: 'aarch64-linux-gnu-',
    compilerMachine: 'aarch64-linux-gnu',
  },
};

export const hostFacts = (arch: HostArch): HostFacts => HOSTS[arch];
export const guestFacts = (arch: GuestArch): GuestFacts => GUESTS[arch];

/** Debian's name of the architecture that Node runs on. @throws ProvisionError for an unsupported one */
export function hostArch(nodeArch: string = process.arch): HostArch {
  if (nodeArch === 'x64') return 'amd64';
  if (nodeArch === 'arm64') return 'arm64';
  throw new ProvisionError({
    attempted: 'determining the architecture of this machine',
    seen: `it is ${nodeArch}; x64 and arm64 are supported`,
    cure: 'run ghostcard on a machine of one of these',
  });
}
