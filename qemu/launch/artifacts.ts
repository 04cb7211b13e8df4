/** The artifacts of a run: console log, QEMU's standard error, and QEMU's command line. */
import { appendFile, copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolder } from '../../emulator/native';

export const CONSOLE_LOG = 'console.log';
/** For a guest restored from a snapshot: the console output from before the snapshot was saved. */
export const BOOT_CONSOLE_LOG = 'boot-console.log';
export const QEMU_STDERR_LOG = 'qemu-stderr.log';
export const COMMAND_LINE_FILE = 'qemu-command-line.txt';

/** Copies the logs of the run in `runDir` to `artifactsDir`, which is created if necessary. */
export async function keepArtifacts(runDir: string, artifactsDir: string): Promise<void> {
  makeFolder(artifactsDir);
  for (const name of [QEMU_STDERR_LOG, COMMAND_LINE_FILE]) {
    await copyFile(join(runDir, name), join(artifactsDir, name)).catch(unlessMissing);
  }
  const consoleLogs = [BOOT_CONSOLE_LOG, CONSOLE_LOG].map((name) => readFile(join(runDir, name)).catch(unlessMissing));
  const written = (await Promise.all(consoleLogs)).filter((log) => log !== undefined);
  if (written.length > 0) await writeFile(join(artifactsDir, CONSOLE_LOG), Buffer.concat(written));
}

const RESTORED_HERE = '--- ghostcard: the guest was saved here and restored for this run ---\n';

/** Makes the console log begin with that of the boot that the snapshot was taken of. */
export async function beginWithBootConsole(runDir: string, consoleLog: string): Promise<void> {
  await copyFile(consoleLog, join(runDir, BOOT_CONSOLE_LOG));
  await appendFile(join(runDir, BOOT_CONSOLE_LOG), RESTORED_HERE);
}

function unlessMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}

/** Writes the command line, quoted for a shell. */
export async function writeCommandLine(runDir: string, command: readonly string[]): Promise<void> {
  await writeFile(join(runDir, COMMAND_LINE_FILE), `${command.map(shellQuote).join(' ')}\n`);
}

function shellQuote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
