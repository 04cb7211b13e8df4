/** Types for callers of provisioning. */
import { type GuestArch } from './arch';
import { type ProgressListener } from './progress';

/** Which software guests are to have. */
export interface ProvisionOptions {
  readonly guestArch?: GuestArch;
  /** A QEMU (path, or name on PATH) to use instead of one that is found or fetched. Default: GHOSTCARD_QEMU. */
  readonly qemu?: string;
  /** A kernel image, or the name of one of Debian's, 'cloud' or 'generic'. Default: GHOSTCARD_KERNEL, else 'cloud'. */
  readonly kernel?: string;
  /**
   * The first two numbers of the kernel's release, such as '6.12', of a kernel of Debian's suites and their backports.
   * Default: GHOSTCARD_KERNEL_RELEASE, else that of the host's suite.
   */
  readonly kernelRelease?: string;
  /** A folder of modules: /lib/modules/RELEASE, or a folder above it. Default: GHOSTCARD_MODULES. */
  readonly modules?: string;
  /** A statically linked busybox. Default: GHOSTCARD_BUSYBOX. */
  readonly busybox?: string;
  /** Default: GHOSTCARD_CACHE, else ghostcard in XDG_CACHE_HOME, else ~/.cache/ghostcard. */
  readonly cacheDir?: string;
  /** Default: the environment of this process. */
  readonly env?: NodeJS.ProcessEnv;
  /**
   * Ends provisioning (Ctrl-C): all child processes end, the cache stays usable, and the promise rejects with the
   * reason.
   */
  readonly signal?: AbortSignal;
  readonly onProgress?: ProgressListener;
}

/** How to start QEMU: `command ...argsPrefix ...firmwareArgs ...` and the arguments of the machine. */
export interface ProvisionedQemu {
  readonly command: string;
  /** Precedes all arguments: QEMU itself, if `command` is the dynamic loader of its own libraries. */
  readonly argsPrefix: readonly string[];
  /** -L options for the folders of its firmware. */
  readonly firmwareArgs: readonly string[];
  readonly version: string;
  /** Its origin, for people. */
  readonly origin: string;
}

/** The kernel that guests boot. */
export interface ProvisionedKernel {
  readonly imagePath: string;
  /** `uname -r` of the guest. */
  readonly release: string;
  /** Absolute path of the folder of all its modules, for modprobe in the guest. Absent if it has none. */
  readonly modulesFolder?: string;
  /** The options of the command line that select it; none for the default. */
  readonly options: readonly string[];
  readonly origin: string;
}

/** What guests are started from: QEMU, a kernel, an image, and where they are. */
export interface Provisioned {
  readonly arch: GuestArch;
  readonly qemu: ProvisionedQemu;
  readonly kernel: ProvisionedKernel;
  readonly initramfsPath: string;
  readonly cacheDir: string;
}
