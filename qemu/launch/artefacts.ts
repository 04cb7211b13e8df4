/** What a run leaves for people to read, if they want it: the console, QEMU's standard error, and how QEMU was started. */
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export const CONSOLE_LOG = 'console.log';
export const QEMU_STDERR_LOG = 'qemu-stderr.log';
export const COMMAND_LINE_FILE = 'qemu-command-line.txt';

/** Copies the logs of the run in `runDir` to `artefactsDir`, which is made if need be. */
export async function keepArtefacts(runDir: string, artefactsDir: string): Promise<void> {
  await mkdir(artefactsDir, { recursive: true });
  for (const name of [CONSOLE_LOG, QEMU_STDERR_LOG, COMMAND_LINE_FILE]) {
    await copyFile(join(runDir, name), join(artefactsDir, name)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    });
  }
}

/** Writes the command line in a form that a shell takes. */
export async function writeCommandLine(runDir: string, command: readonly string[]): Promise<void> {
  await writeFile(join(runDir, COMMAND_LINE_FILE), `${command.map(shellQuote).join(' ')}\n`);
}

function shellQuote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
