/**
 * Command lines of the guard program (guard.c): what it starts or keeps ends with this process, however this process
 * ends.
 */
import { existsSync } from 'node:fs';
import { HOW_TO_BUILD, inPackage } from '../../emulator/folders';

const GUARD_PATH = inPackage('qemu/launch/build/guard');

/** The command line of the guard with `args`. @throws Error if the guard has not been built */
export function guardCommand(...args: string[]): [string, string[]] {
  if (!existsSync(GUARD_PATH)) {
    throw new Error(`Cannot find ${GUARD_PATH}. Build the native parts with ${HOW_TO_BUILD}.`);
  }
  return [GUARD_PATH, args];
}

/** The command line that runs `command`, which the kernel kills when the calling thread of this process ends. */
export function guardedCommand(command: readonly string[]): [string, string[]] {
  return guardCommand('exec', String(process.pid), ...command);
}
