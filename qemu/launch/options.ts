/** What a launch is told. */
import { type ExecResult } from '../channel';
import { type GuestArch } from '../provision';
import { type SnapshotStore } from '../snapshot';
import { type CardConnection } from './arguments';

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
  /** Where some of the above is; a cache that has been moved makes no other machine. */
  readonly cacheDir?: string;
}

/** A card to put in, on whose socket its vfio-user server listens before the launch. */
export interface LaunchCard extends CardConnection {
  /** What `Guest.bind` and error messages call it. */
  readonly name: string;
}

/** A folder of the host that the guest may write to. */
export interface Share {
  readonly hostPath: string;
  /** Where programs in the guest find it. Default: at the same path. */
  readonly guestPath?: string;
}

export type LaunchPhase = 'starting-qemu' | 'restoring' | 'booting' | 'agent-ready' | 'saving' | 'no-snapshot';

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
  /**
   * Where guests that have booted are kept, to start from instead of a boot; cards are then plugged into the running
   * guest. Left out: the guest boots, with the cards there from the beginning.
   */
  readonly snapshots?: SnapshotStore;
  /** The folder that the guest's programs see as their root, and may change without changing it. Default '/'; false: none. */
  readonly hostRoot?: string | false;
  readonly shares?: readonly Share[];
  /** Default 'ghostcard'. */
  readonly hostname?: string;
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
  /** Places for cards, empty ones included. Default 8, or as many as there are cards. */
  readonly slots?: number;
  /** A virtual IOMMU in front of every card: drivers map what a card may reach. Default: none. */
  readonly iommu?: boolean;
  /** Where QEMU's gdb stub listens, such as 'tcp:127.0.0.1:1234'. */
  readonly gdb?: string;
  readonly extraQemuArgs?: readonly string[];
  /** From the start to the agent's hello, for a boot. Default 90 s. */
  readonly bootTimeoutMs?: number;
  /**
   * Existing folder for this guest's sockets and logs, not shared with another guest; its owner removes it (see
   * `RunFolder`). Left out: the guest makes one and removes it.
   */
  readonly runDir?: string;
  /** Gets each line of the guest's console as it comes. */
  readonly onConsole?: (line: string) => void;
  readonly onProgress?: (progress: LaunchProgress) => void;
  /** Is told of each command before it is started in the guest. */
  readonly onCommandStart?: (argv: readonly string[], marked: boolean) => void;
  /**
   * Called when a command has ended, or could not be started, before its result is handed over. For the owner of cards:
   * what the command has written to them last (posted writes) and its result come on different ways.
   */
  readonly onCommandEnd?: (argv: readonly string[], end: ExecResult | Error, marked: boolean) => void;
  /**
   * Gets what programs in the guest want to be found in a trace (`gc-mark`). They wait until this has returned, and what
   * they wrote to cards before comes, as for commands, on another way.
   */
  readonly onMark?: (text: string) => void;
  /** Gets the console log, QEMU's standard error and the command line when the guest ends. */
  readonly artifactsDir?: string;
  /** When artifacts are kept, given a folder for them. Default 'always'. */
  readonly artifacts?: 'always' | 'on-failure';
  /** Aborting ends the guest, at any time: everything pending rejects with the reason. */
  readonly signal?: AbortSignal;
}
