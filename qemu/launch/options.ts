/** Options of a launch. */
import { type ExecResult, type GuestChannel } from '../channel';
import { type GuestArch } from '../provision';
import { type SnapshotStore } from '../snapshot';
import { type CardConnection, type ObserverPlugin } from './arguments';
import { type MemoryLayout } from './memory-layout';

/** What to boot, as returned by `provision`. */
export interface GuestSoftware {
  readonly arch: GuestArch;
  readonly qemu: {
    readonly command: string;
    /** Precedes QEMU's own arguments (a loader with its library path, and the program). */
    readonly argsPrefix: readonly string[];
    readonly firmwareArgs: readonly string[];
  };
  /**
   * `release`: as `uname -r` prints it. `modulesFolder`: all modules, for modprobe. `options`: those of the command line
   * that select it.
   */
  readonly kernel: {
    readonly imagePath: string;
    readonly release?: string;
    readonly modulesFolder?: string;
    readonly options?: readonly string[];
  };
  readonly initramfsPath: string;
  /**
   * The folder of the cache that some of the above paths are in. Moving the cache does not change the identity of a
   * machine.
   */
  readonly cacheDir?: string;
}

/** A card to plug in: the connection is that of its function 0. Its vfio-user server must listen on its socket before the launch. */
export interface LaunchCard extends CardConnection {
  /** Its name for `Guest.bind` and in error messages. */
  readonly name: string;
  /** QEMU is connected to this socket already: the card takes the place, and the slot, of one that was unplugged. */
  readonly isConnected?: boolean;
  /** Functions 1, 2 and so on of a card with several. Their names are the card's with `.0`, `.1` … */
  readonly moreFunctions?: readonly CardConnection[];
}

/** A folder of the host that the guest may write to. */
export interface Share {
  readonly hostPath: string;
  /** Its path in the guest. Default: the same path. */
  readonly guestPath?: string;
}

/** What a launch is doing. */
export type LaunchPhase = 'starting-qemu' | 'restoring' | 'booting' | 'agent-ready' | 'saving' | 'no-snapshot';

/** How far a launch is. */
export interface LaunchProgress {
  readonly phase: LaunchPhase;
  /** A short sentence for people. */
  readonly message: string;
  /** Since the launch began. */
  readonly elapsedMs: number;
}

/** What a guest is like, and how it is started. */
export interface LaunchOptions {
  readonly provisioned: GuestSoftware;
  readonly cards?: readonly LaunchCard[];
  /**
   * @internal The store of snapshots to restore from instead of booting; cards are then hot-plugged. If omitted, the guest boots
   * with the cards present.
   */
  readonly snapshots?: SnapshotStore;
  /**
   * The folder that is the root of programs in the guest. Their changes to it do not reach the host. Default: '/'.
   * false: none.
   */
  readonly hostRoot?: string | false;
  readonly shares?: readonly Share[];
  /** Files and folders of the host that commands do not see, beside keys, passwords and tokens (docs/security.md). */
  readonly hide?: readonly string[];
  /** What commands see of those: paths on the host, or folders that they are in. '/': all. */
  readonly reveal?: readonly string[];
  /** Default: 'ghostcard'. */
  readonly hostname?: string;
  /** Default: 512. */
  readonly memoryMiB?: number;
  /** Where the memory lies; the guest's kernel decides who gets which. Default: 'flat'. */
  readonly memoryLayout?: MemoryLayout;
  /** Virtual CPUs. Default: 1, since QEMU, the guest and the card share the host's CPUs. */
  readonly cpus?: number;
  /**
   * Model of the virtual CPUs, with properties: 'Haswell-v4', 'max,la57=off'. QEMU's `-cpu help` lists them. Default:
   * see `MACHINES`; the host's with KVM.
   */
  readonly cpu?: string;
  /** Appended to the kernel's command line. */
  readonly kernelAppend?: string;
  /** Default: 'tcg', since a /dev/kvm that exists need not work. */
  readonly accel?: 'tcg' | 'kvm';
  /** Number of 2 MiB pages reserved at boot. Default: 32. */
  readonly hugepages?: number;
  /** Number of slots for cards, including empty ones. Default: 8, or the number of cards if larger. */
  readonly slots?: number;
  /** A virtual IOMMU in front of every card: drivers map what a card can access. Default: none. */
  readonly iommu?: boolean;
  /** Address for QEMU's gdb stub to listen at, such as 'tcp:127.0.0.1:1234'. */
  readonly gdb?: string;
  /** @internal Observes the guest's processors. It makes no difference to the machine. Default: nobody does. */
  readonly observer?: ObserverPlugin;
  readonly extraQemuArgs?: readonly string[];
  /** Time limit of a boot, from the start to the agent's hello. Default: 90 s. */
  readonly bootTimeoutMs?: number;
  /**
   * Existing folder for this guest's sockets and logs, not shared with another guest. Its owner removes it (see
   * `RunFolder`). If omitted, the guest creates one and removes it.
   */
  readonly runDir?: string;
  /** Called for each line of the guest's console as it is written. */
  readonly onConsole?: (line: string) => void;
  /** Called when a phase of the launch begins. */
  readonly onProgress?: (progress: LaunchProgress) => void;
  /** @internal Called when the guest runs commands, before cards are plugged into it. */
  readonly onUp?: (channel: GuestChannel) => Promise<void>;
  /** Called before a command is started in the guest. */
  readonly onCommandStart?: (argv: readonly string[], marked: boolean) => void;
  /**
   * Called when a command has ended, or could not be started, before its result is returned. For the owner of cards:
   * the command's last posted writes to them and its result take different paths.
   */
  readonly onCommandEnd?: (argv: readonly string[], end: ExecResult | Error, marked: boolean) => void;
  /**
   * Called with the text of each mark that a program in the guest sets (`gc-mark`). The program waits until this
   * returns. As with commands, its earlier writes to cards take a different path.
   */
  readonly onMark?: (text: string) => void;
  /** Folder to which the console log, QEMU's standard error and the command line are copied when the guest ends. */
  readonly artifactsDir?: string;
  /** When artifacts are kept, if there is a folder for them. Default: 'always'. */
  readonly artifacts?: 'always' | 'on-failure';
  /** Aborting it ends the guest at any time. Everything pending rejects with the reason. */
  readonly signal?: AbortSignal;
}
