/**
 * What differs between machine architectures. Host and guest are two separate parameters everywhere, also where both
 * are the same: the host decides which QEMU binary runs, the guest which machine it shows.
 */
import { ProvisionError } from './errors';

/** Debian's names. */
export type HostArch = 'amd64' | 'arm64';
export type GuestArch = 'amd64' | 'arm64';
export const GUEST_ARCHES: readonly GuestArch[] = ['amd64', 'arm64'];

interface HostFacts {
  /** Folder of the architecture's libraries, and prefix of its compiler's name. */
  readonly triplet: string;
  /** File name of glibc's program loader. */
  readonly loader: string;
}

interface GuestFacts {
  /** QEMU's emulator for this machine, and the Debian packages that bring it with its firmware. */
  readonly qemuCommand: string;
  readonly qemuPackages: readonly string[];
  /** Debian's kernel flavour: the cloud one boots quickest and lacks nothing that is not rebuilt anyway. */
  readonly kernelFlavour: string;
  /** The kernel's own name for the architecture. */
  readonly kernelArch: string;
  /** Before the names of the tools of a compiler for it: `CROSS_COMPILE`. */
  readonly compilerPrefix: string;
  /** Machine in Debian's names of cross compilers: gcc-12-MACHINE. */
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
    kernelFlavour: 'cloud-amd64',
    kernelArch: 'x86',
    compilerPrefix: 'x86_64-linux-gnu-',
    compilerMachine: 'x86-64-linux-gnu',
  },
  arm64: {
    qemuCommand: 'qemu-system-aarch64',
    qemuPackages: ['qemu-system-arm', 'qemu-system-data'],
    kernelFlavour: 'cloud-arm64',
    kernelArch: 'arm64',
    compilerPrefix: 'aarch64-linux-gnu-',
    compilerMachine: 'aarch64-linux-gnu',
  },
};

export const hostFacts = (arch: HostArch): HostFacts => HOSTS[arch];
export const guestFacts = (arch: GuestArch): GuestFacts => GUESTS[arch];

/** Debian's name for the architecture that Node runs on. */
export function hostArch(nodeArch: string = process.arch): HostArch {
  if (nodeArch === 'x64') return 'amd64';
  if (nodeArch === 'arm64') return 'arm64';
  throw new ProvisionError({
    attempted: 'finding out what this machine is',
    seen: `its architecture is ${nodeArch}; known are x64 and arm64`,
    cure: 'run ghostcard on one of these',
  });
}
