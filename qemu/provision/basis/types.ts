/** The shapes that callers of provisioning see. */
import { type GuestArch } from './arch';
import { type ProgressListener } from './progress';

export interface ProvisionOptions {
  readonly guestArch?: GuestArch;
  /** A QEMU (path or name on PATH) to be used instead of a found or fetched one. Default: GHOSTCARD_QEMU. */
  readonly qemu?: string;
  /** A kernel image. Default: GHOSTCARD_KERNEL. */
  readonly kernel?: string;
  /** A folder of modules: /lib/modules/RELEASE, or what contains it. Default: GHOSTCARD_MODULES. */
  readonly modules?: string;
  /** A statically linked busybox. Default: GHOSTCARD_BUSYBOX. */
  readonly busybox?: string;
  /** Default: GHOSTCARD_CACHE, else ghostcard in XDG_CACHE_HOME, else ~/.cache/ghostcard. */
  readonly cacheDir?: string;
  /** Default: the process's own environment. */
  readonly env?: NodeJS.ProcessEnv;
  /** Ends provisioning (Ctrl-C): every child ends, the cache stays usable, the promise rejects with the reason. */
  readonly signal?: AbortSignal;
  readonly onProgress?: ProgressListener;
}

/** How QEMU is started: `command ...argsPrefix ...firmwareArgs ...the machine`. */
export interface ProvisionedQemu {
  readonly command: string;
  /** Goes before every argument: QEMU itself, when `command` is the program loader of its own libraries. */
  readonly argsPrefix: readonly string[];
  /** -L options for the folders of its firmware. */
  readonly firmwareArgs: readonly string[];
  readonly version: string;
  /** Where it came from, for people. */
  readonly origin: string;
}

export interface ProvisionedKernel {
  readonly imagePath: string;
  /** `uname -r` of the guest. */
  readonly release: string;
  readonly origin: string;
}

export interface Provisioned {
  readonly arch: GuestArch;
  readonly qemu: ProvisionedQemu;
  readonly kernel: ProvisionedKernel;
  readonly initramfsPath: string;
  readonly cacheDir: string;
}
