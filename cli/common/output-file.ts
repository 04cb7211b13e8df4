/** Files and folders that a command writes to: what it must not overwrite, and why one cannot be written. */
import {
  chmodSync,
  closeSync,
  mkdtempSync,
  openSync,
  readSync,
  realpathSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { makeFolder } from '../../emulator/native';
import { FORMAT } from '../../instrumentation/trace';
import { UsageError } from './errors';

/** Throws a UsageError when `output` is the recording that the command reads, by whatever name or link. */
export function refuseToReplace(recording: string, output: string, option: string): void {
  if (!isSameFile(recording, output)) return;
  const called = output === recording ? '' : ` (${recording})`;
  throw new UsageError(`${option} ${output}: that is the recording itself${called}; choose another name`);
}

/** By whatever name or link. False when one of them does not exist. */
export function isSameFile(one: string, other: string): boolean {
  const [a, b] = [one, other].map(identityOf);
  return a !== undefined && a === b;
}

function identityOf(path: string): string | undefined {
  try {
    const { dev, ino } = statSync(path, { bigint: true });
    return `${dev}:${ino}`;
  } catch {
    return undefined; // opening it will say why
  }
}

/** Throws for a file that is no trace: overwriting it was hardly meant. A trace is overwritten, like any output file. */
export function refuseOtherFiles(path: string): void {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (!stats?.isFile() || stats.size === 0) return;
  const start = Buffer.alloc(64);
  const fd = openSync(path, 'r');
  try {
    readSync(fd, start);
  } finally {
    closeSync(fd);
  }
  if (!start.includes(FORMAT)) {
    throw new Error('this file exists and is not a trace: name another, or remove it first');
  }
}

const CURES: Readonly<Record<string, string>> = {
  ENOENT: 'its folder does not exist: make it first, or name another',
  ENOTDIR: 'what should be its folder is a file: name a folder that is one',
  EISDIR: 'it is a folder: name a file in it',
  EACCES: 'permission denied: name a file that you may write',
  EPERM: 'permission denied: name a file that you may write',
  EROFS: 'the file system there is read-only: name a file in another',
  ENOSPC: 'the disk is full: make room, or name a file on another',
};

/** Why a file cannot be written, and what to do, when that is known. */
export function wordWriteError(error: unknown): string {
  const { code = '', message } = error as NodeJS.ErrnoException;
  return Object.hasOwn(CURES, code) ? `it cannot be written: ${CURES[code]}` : message;
}

/** Runs what opens or writes the file that `option` names. Errors become UsageErrors that say so. */
export function writingTo<T>(option: string, path: string, write: () => T): T {
  try {
    return write();
  } catch (error) {
    throw new UsageError(`${option} ${path}: ${wordWriteError(error)}`);
  }
}

/**
 * Writes the file that `option` names as a whole: `write` gets a path beside it, and when it fails, what was there before
 * stays and nothing else. A device, or a FIFO, is written to itself. Errors become UsageErrors that say so.
 */
export function writeWhole(option: string, path: string, write: (path: string) => void): void {
  writingTo(option, path, () => {
    const found = statSync(path, { throwIfNoEntry: false });
    if (found && !found.isFile()) return write(path);
    const place = found ? realpathSync(path) : resolve(path);
    const part = `${place}.${process.pid}.part`;
    try {
      write(part);
      if (found) chmodSync(part, found.mode);
      renameSync(part, place);
    } catch (error) {
      rmSync(part, { force: true });
      throw withName(error, part, path);
    }
  });
}

/** The user has named `path`. */
function withName(error: unknown, part: string, path: string): unknown {
  if (error instanceof Error) error.message = error.message.replaceAll(part, path);
  return error;
}

/** Makes the folder for a run's logs and tries to write there, before anything is started. Returns its absolute path. */
export function makeArtifactsFolder(folder: string): string {
  const path = resolve(folder);
  try {
    makeFolder(path);
    rmdirSync(mkdtempSync(join(path, '.ghostcard-')));
    return path;
  } catch (error) {
    throw new UsageError(`--artifacts ${folder}: nothing can be written there: ${(error as Error).message}`);
  }
}
