/**
 * Command lines of the guard program (guard.c): what it starts or keeps ends with this process, however this process
 * ends.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';

const GUARD_PATH = join(__dirname, 'build', 'guard');

/** The command line of the guard with `args`. @throws Error if the guard has not been built */
export function guardCommand(...args: string[]): [string, string[]] {
  if (!existsSync(GUARD_PATH)) {
    throw new Error(`Cannot find ${GUARD_PATH}, which 'npm ci' builds. Run that, or make -C ${__dirname}`);
  }
  return [GUARD_PATH, args];
}

/** The command line that runs `command`, which the kernel kills when the calling thread of this process ends. */
export function guardedCommand(command: readonly string[]): [string, string[]] {
  return guardCommand('exec', String(process.pid), ...command);
}
