/** Starts the guard program (guard.c): what it starts or keeps ends with this process, however this process ends. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';

const GUARD_PATH = join(__dirname, 'build', 'guard');

/** The command line of the guard with `args`. */
export function guardCommand(...args: string[]): [string, string[]] {
  if (!existsSync(GUARD_PATH)) {
    throw new Error(`${GUARD_PATH} has not been built. 'npm ci' does that; by itself: make -C ${__dirname}`);
  }
  return [GUARD_PATH, args];
}

/** The command line that runs `command` and has the kernel kill it when the calling thread of this process ends. */
export function guardedCommand(command: readonly string[]): [string, string[]] {
  return guardCommand('exec', String(process.pid), ...command);
}
