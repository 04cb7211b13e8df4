/**
 * A folder for the sockets and logs of one run, removed when the run ends, even after `kill -9`.
 *
 * Its keeper (guard.c) removes it when this process closes its end of a pipe. Folders whose keeper was killed along
 * with the runner are removed by the next run.
 *
 * Source: unix(7), for the limit on socket paths.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { access, constants, lstat, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa, type ResultPromise } from 'execa';
import { makeFolder } from '../../emulator/native';
import { guardCommand } from './guard';
import { within } from './within';

/** Maximum length of the path of a UNIX socket in bytes: 108 including the NUL at its end. */
export const MAX_SOCKET_PATH_BYTES = 107;
/** Maximum length of a run folder's path, so that sockets in it can have names of 32 bytes. */
const MAX_FOLDER_PATH_BYTES = MAX_SOCKET_PATH_BYTES - '/'.length - 32;

const KEEPER_TIMEOUT_MS = 20_000;

type Keeper = ResultPromise<{ reject: false; stdout: 'pipe'; stdin: 'pipe' }>;

export interface RunFolderOptions {
  /** The folder in which run folders are created. Default: `ghostcard-<user id>` in the folder for temporary files. */
  readonly baseDir?: string;
}

export class RunFolder implements AsyncDisposable {
  private closing: Promise<void> | undefined;

  private constructor(
    readonly path: string,
    private readonly keeper: Keeper,
  ) {}

  /** Removes the folders of dead runs, then creates a folder that only this user can enter. */
  static async create({ baseDir = defaultBaseDir() }: RunFolderOptions = {}): Promise<RunFolder> {
    const path = join(baseDir, `run-${randomBytes(4).toString('hex')}`);
    checkLength(path, MAX_FOLDER_PATH_BYTES, 'Set TMPDIR to a shorter path.');
    await makeBaseDir(baseDir);
    await prune(baseDir);
    await checkWritable(baseDir);

    const keeper = execa(...guardCommand('keep', path), {
      stdin: 'pipe',
      detached: true,
      cleanup: false,
      reject: false,
    }) as Keeper;
    // The pipe breaks if the keeper is killed; `close` then removes the folder itself.
    keeper.stdin.on('error', () => {});
    const ready = Promise.race([
      once(keeper.stdout, 'data'),
      keeper.then(({ stderr }) => Promise.reject(new Error(`Cannot create a run folder: ${stderr}`))),
    ]);
    try {
      await within(ready, { what: `the keeper of ${path} to create it`, timeoutMs: KEEPER_TIMEOUT_MS });
      return new RunFolder(path, keeper);
    } catch (error) {
      keeper.kill('SIGKILL');
      throw error;
    }
  }

  /** The path of a socket in this folder. @throws Error if it is longer than the system allows */
  socketPath(name: string): string {
    const path = join(this.path, name);
    checkLength(path, MAX_SOCKET_PATH_BYTES, 'Use a shorter name.');
    return path;
  }

  /** Removes the folder and its contents. Can be called again. */
  close(): Promise<void> {
    this.closing ??= this.remove();
    return this.closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private async remove(): Promise<void> {
    this.keeper.stdin.end();
    try {
      await within(this.keeper, { what: `the keeper of ${this.path} to remove it`, timeoutMs: KEEPER_TIMEOUT_MS });
    } finally {
      this.keeper.kill('SIGKILL');
      // Only necessary if the keeper was killed or failed.
      await rm(this.path, { recursive: true, force: true });
    }
  }
}

/** A folder in the folder for temporary files if that leaves room for socket names, else in /tmp. */
function defaultBaseDir(): string {
  if (!existsSync(tmpdir()))
    throw new Error(`TMPDIR is ${tmpdir()}, and there is no such folder: make it, or unset TMPDIR`);
  const name = `ghostcard-${process.getuid?.() ?? 0}`;
  const candidate = join(tmpdir(), name);
  const isShort = Buffer.byteLength(join(candidate, 'run-00000000')) <= MAX_FOLDER_PATH_BYTES;
  return isShort ? candidate : join('/tmp', name);
}

/** Creates the folder. An existing one must belong to this user alone, since anyone can create names in /tmp. */
async function makeBaseDir(baseDir: string): Promise<void> {
  try {
    makeFolder(baseDir, 0o700);
  } catch (error) {
    throw new Error(
      `Cannot create run folders in ${baseDir}: ${(error as Error).message}. Set TMPDIR to a folder of your own.`,
      { cause: error },
    );
  }
  const found = await lstat(baseDir);
  if (!found.isDirectory() || found.uid !== process.getuid?.() || (found.mode & 0o022) !== 0) {
    throw new Error(
      `Cannot create run folders in ${baseDir}: it must be a folder that belongs to this user and that no one else ` +
        `can write to. Remove it, or set TMPDIR to a folder of your own.`,
    );
  }
}

const LEAST_FREE_BYTES = 1 << 20;

/** Before what fails later in some other place, with an error that names no file. */
async function checkWritable(baseDir: string): Promise<void> {
  const refuse = (why: string): never => {
    throw new Error(`Cannot create run folders in ${baseDir}: ${why}. Set TMPDIR to another folder.`);
  };
  const { bavail, bsize } = await statfs(baseDir);
  const free = bavail * bsize;
  if (free < LEAST_FREE_BYTES) refuse(`the disk is full (${free} bytes are free, a run needs 1 MiB): make room`);
  await access(baseDir, constants.W_OK).catch((error: Error) => refuse(error.message));
}

async function prune(baseDir: string): Promise<void> {
  const { failed, stderr } = await execa(...guardCommand('prune', baseDir), {
    reject: false,
    timeout: KEEPER_TIMEOUT_MS,
  });
  if (failed) process.emitWarning(`Cannot remove the folders of dead runs in ${baseDir}: ${stderr}`);
}

function checkLength(path: string, maxBytes: number, cure: string): void {
  const bytes = Buffer.byteLength(path);
  if (bytes > maxBytes) throw new Error(`The path ${path} has ${bytes} bytes; the limit is ${maxBytes}. ${cure}`);
}
