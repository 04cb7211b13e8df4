/** What a launch is told. */
import { type GuestArch } from '../provision';

/** What to boot, as `provision` hands it over. */
export interface GuestSoftware {
  readonly arch: GuestArch;
  readonly qemu: {
    readonly command: string;
    /** Goes before QEMU's own arguments (a loader with its library path, and the program). */
    readonly argsPrefix: readonly string[];
    readonly firmwareArgs: readonly string[];
  };
  readonly kernel: { readonly imagePath: string };
  readonly initramfsPath: string;
}

/** A card to put in: `name` is what `Guest.bind` and error messages call it. */
export interface LaunchCard {
  readonly name: string;
  /** Where its vfio-user server listens, before the launch. */
  readonly socketPath: string;
}

export type LaunchPhase = 'starting-qemu' | 'booting' | 'agent-ready';

export interface LaunchProgress {
  readonly phase: LaunchPhase;
  /** A short sentence for people. */
  readonly message: string;
  /** Since the launch began. */
  readonly elapsedMs: number;
}

export interface LaunchOptions {
  readonly provisioned: GuestSoftware;
  readonly cards?: readonly LaunchCard[];
  /** Default 512. */
  readonly memoryMiB?: number;
  /** Virtual processors. Default 1: QEMU, the guest and the card share the host's processors. */
  readonly cpus?: number;
  /** Added to the kernel's command line. */
  readonly kernelAppend?: string;
  /** Default 'tcg': a /dev/kvm that is there need not work. */
  readonly accel?: 'tcg' | 'kvm';
  /** 2 MiB pages reserved at boot. Default 32. */
  readonly hugepages?: number;
  /** Empty root ports for cards that are plugged in later. Default 2. */
  readonly spareSlots?: number;
  readonly extraQemuArgs?: readonly string[];
  /** From the start to the agent's hello. Default 90 s. */
  readonly bootTimeoutMs?: number;
  /**
   * Existing folder for this guest's sockets and logs, not shared with another guest; its owner removes it (see
   * `RunFolder`). Left out: the guest makes one and removes it.
   */
  readonly runDir?: string;
  /** Gets each line of the guest's console as it comes. */
  readonly onConsole?: (line: string) => void;
  readonly onProgress?: (progress: LaunchProgress) => void;
  /** Gets the console log, QEMU's standard error and the command line when the guest ends. */
  readonly artefactsDir?: string;
  /** When artefacts are kept, given a folder for them. Default 'always'. */
  readonly artefacts?: 'always' | 'on-failure';
  /** Aborting ends the guest, at any time: everything pending rejects with the reason. */
  readonly signal?: AbortSignal;
}
