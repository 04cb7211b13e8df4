/** The host's files in the guest: mounted by a script of the guest's, seen by commands that run below its root. */
import path from 'node:path';
import { type ExecOptions, type GuestChannel, GuestRequestError } from '../channel';
import { GUEST_PATHS, HOST_ROOT, HOST_ROOT_TOOLS } from '../guest-image';
import { shareTag } from './arguments';
import { type Share } from './options';

const MOUNT_TIMEOUT_MS = 30_000;
const ANY_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
/** Of the caller's environment: what describes the person and the place, not the session. */
const PASSED_ON = /^(HOME|LANG|LANGUAGE|LC_\w+|TZ)$/;

export class HostFolders {
  /** Whether the guest knows the host's files as they are; it keeps what it has looked up. */
  private fresh = true;

  private constructor(
    private readonly channel: GuestChannel,
    private readonly hostRoot: string,
    /** The programs in the root are for a machine of another architecture. */
    private readonly isForeign: boolean,
  ) {}

  static async mount(channel: GuestChannel, hostRoot: string, shares: readonly Share[]): Promise<HostFolders> {
    const mounts = shares
      .map(({ hostPath, guestPath }, index) => [shareTag(index), guestPath ?? path.resolve(hostPath)] as const)
      .sort(([, a], [, b]) => a.length - b.length); // a folder before those that lie in it
    const said = await ask(channel, 'mounted', ['mount', ...mounts.flat()]);
    return new HostFolders(channel, path.resolve(hostRoot), said === 'foreign');
  }

  /** What a command needs to run on the host's files, as they are now. */
  async forCommand({ env, ...options }: ExecOptions): Promise<ExecOptions> {
    if (!this.fresh) await ask(this.channel, 'looked up anew', ['refresh']);
    this.fresh = false;
    const { cwd = this.isOurs ? process.cwd() : '/' } = options;
    // Programs believe PWD without looking, make(1) among them: it must be the folder that they are in.
    return { root: HOST_ROOT, ...options, cwd, env: { ...this.environment, PWD: cwd, ...env } };
  }

  /** Where a file that commands see as `guestPath` is for the agent. */
  pathFor(guestPath: string): string {
    return path.posix.join(HOST_ROOT, guestPath);
  }

  private get isOurs(): boolean {
    return this.hostRoot === '/';
  }

  private get environment(): Record<string, string> {
    const ours = this.isOurs ? Object.entries(process.env).filter(([name]) => PASSED_ON.test(name)) : [];
    const theirs = (this.isOurs && process.env.PATH) || ANY_PATH;
    // Last, since the root's own programs do more; but first where those cannot run.
    const folders = this.isForeign ? [...HOST_ROOT_TOOLS, theirs] : [theirs, ...HOST_ROOT_TOOLS];
    return { HOME: '/root', ...(Object.fromEntries(ours) as Record<string, string>), PATH: folders.join(':') };
  }
}

/** Folders that the guest has of its own; below them it lacks what the host has. */
const GUESTS_OWN = /^\/(run|proc|sys|dev)(\/|$)/;

/** Why a command could not be started; with what to do, when it is for a folder that only the host has. */
export function explainFolder(error: unknown, cwd = ''): unknown {
  const isMissing = error instanceof GuestRequestError && error.message.includes(`cannot change to folder ${cwd}`);
  if (!isMissing || !GUESTS_OWN.test(cwd)) return error;
  const hint =
    'the guest has a /run, /proc, /sys and /dev of its own. ' +
    'Work in another folder, or share this one with the guest (ghostcard run --rw .)';
  return new GuestRequestError(`${error.message}: ${hint}`, error.code);
}

/** What the guest says, when it has done so. */
async function ask(channel: GuestChannel, what: string, argv: readonly string[]): Promise<string> {
  const command = [GUEST_PATHS.hostRoot, ...argv];
  const { exitCode, signal, stdout, stderr } = await channel.exec(command, { timeoutMs: MOUNT_TIMEOUT_MS });
  if (exitCode === 0) return stdout.toString().trim();
  const how = signal ?? (exitCode === undefined ? 'its time limit' : `exit code ${exitCode}`);
  throw new Error(
    `The host's folders could not be ${what} in the guest: ${command.join(' ')} ended with ${how}: ` +
      stderr.toString().trim(),
  );
}
