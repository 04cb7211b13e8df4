/**
 * The host's files in the guest. A script in the guest mounts them; commands that use them run with their root as root.
 */
import path from 'node:path';
import { type ExecOptions, type GuestChannel, GuestRequestError } from '../channel';
import { GUEST_PATHS, HOST_ROOT, HOST_ROOT_TOOLS } from '../guest-image';
import { shareTag } from './arguments';
import { type Share } from './options';
import { guestPathsOf } from './secrets';

const MOUNT_TIMEOUT_MS = 30_000;
const ANY_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
/** The variables that are passed on: those about the user and the locale, not the session. */
const PASSED_ON = /^(HOME|LANG|LANGUAGE|LC_\w+|TZ)$/;

export class HostFolders {
  /** Whether the guest sees the current state of the host's files; it caches lookups. */
  private fresh = true;

  private constructor(
    private readonly channel: GuestChannel,
    private readonly hostRoot: string,
    /** The programs in the root are for another architecture. */
    private readonly isForeign: boolean,
  ) {}

  /** `hidden`: paths on the host that commands do not see. */
  static async mount(
    channel: GuestChannel,
    hostRoot: string,
    shares: readonly Share[],
    hidden: readonly string[],
  ): Promise<HostFolders> {
    const mounts = shares
      .map(({ hostPath, guestPath }, index) => [shareTag(index), guestPath ?? path.resolve(hostPath)] as const)
      .sort(([, a], [, b]) => a.length - b.length); // parent folders first
    const said = await ask(channel, 'mounted', [
      ...['mount', ...mounts.flat()],
      ...['--', ...guestPathsOf(hidden, hostRoot, shares)],
    ]);
    return new HostFolders(channel, path.resolve(hostRoot), said === 'foreign');
  }

  /** The options for a command that sees the host's files in their current state. */
  async forCommand({ env, ...options }: ExecOptions): Promise<ExecOptions> {
    if (!this.fresh) await ask(this.channel, 'refreshed', ['refresh']);
    this.fresh = false;
    const { cwd = this.isOurs ? process.cwd() : '/' } = options;
    // Programs such as make(1) trust PWD: it must be the folder that they start in.
    return { root: HOST_ROOT, ...options, cwd, env: { ...this.environment, PWD: cwd, ...env } };
  }

  /** The agent's path of a file that commands see as `guestPath`. */
  pathFor(guestPath: string): string {
    return path.posix.join(HOST_ROOT, guestPath);
  }

  private get isOurs(): boolean {
    return this.hostRoot === '/';
  }

  private get environment(): Record<string, string> {
    const ours = this.isOurs ? Object.entries(process.env).filter(([name]) => PASSED_ON.test(name)) : [];
    const theirs = (this.isOurs && process.env.PATH) || ANY_PATH;
    // The guest's programs are last, since the root's do more; first, if the root's cannot run.
    const folders = this.isForeign ? [...HOST_ROOT_TOOLS, theirs] : [theirs, ...HOST_ROOT_TOOLS];
    return { HOME: '/root', ...(Object.fromEntries(ours) as Record<string, string>), PATH: folders.join(':') };
  }
}

/** Mounts the host's folder of all modules of the guest's kernel. To be done before the host's root is mounted. */
export async function mountModules(channel: GuestChannel): Promise<void> {
  await ask(channel, 'mounted', ['modules']);
}

/** Folders that the guest has its own of, so that files of the host are missing there. */
const GUESTS_OWN = /^\/(run|proc|sys|dev)(\/|$)/;

/** Adds a hint to the error of a command that could not be started because its folder exists only on the host. */
export function explainFolder(error: unknown, cwd = ''): unknown {
  const isMissing = error instanceof GuestRequestError && error.message.includes(`cannot change to folder ${cwd}`);
  if (!isMissing || !GUESTS_OWN.test(cwd)) return error;
  const hint =
    'the guest has its own /run, /proc, /sys and /dev. ' +
    'Work in another folder, or share this one with the guest (ghostcard run --rw .)';
  return new GuestRequestError(`${error.message}: ${hint}`, error.code);
}

/** Runs the script in the guest and returns its output. */
async function ask(channel: GuestChannel, what: string, argv: readonly string[]): Promise<string> {
  const command = [GUEST_PATHS.hostRoot, ...argv];
  const { exitCode, signal, stdout, stderr } = await channel.exec(command, { timeoutMs: MOUNT_TIMEOUT_MS });
  if (exitCode === 0) return stdout.toString().trim();
  const how = signal ?? (exitCode === undefined ? 'a timeout' : `exit code ${exitCode}`);
  throw new Error(
    `The host's folders could not be ${what} in the guest: ${command.join(' ')} ended with ${how}: ` +
      stderr.toString().trim(),
  );
}
