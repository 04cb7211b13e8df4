/** The environment variables of the command line: wrong values and misspelt names are reported before anything is done. */
import { resolve } from 'node:path';
import { makeFolder } from '../emulator/native';
import { limitFromEnvironment } from '../emulator/watchdog';
import { UsageError } from './common/errors';

/** Checks of their values, which throw; undefined where any value will do. */
const VARIABLES: Readonly<Record<string, ((value: string) => void | Promise<void>) | undefined>> = {
  GHOSTCARD_CACHE: makeCache,
  GHOSTCARD_CACHE_LIMIT: async (value) => (await import('./guest/cache.ts')).checkCacheLimit(value),
  GHOSTCARD_QEMU: undefined,
  GHOSTCARD_KERNEL: undefined,
  GHOSTCARD_KERNEL_RELEASE: undefined,
  GHOSTCARD_MODULES: undefined,
  GHOSTCARD_BUSYBOX: undefined,
  GHOSTCARD_MIRROR: checkAddress,
  GHOSTCARD_WATCHDOG: (value) => void limitFromEnvironment(value),
};
/** Variables of a command in the guest, which may be ghostcard. */
const IN_THE_GUEST = /^GHOSTCARD_(PCI_ADDRESS|DEVICE)(_\d+)?$/;

/** Throws a UsageError for a value that makes no sense, and warns of names that ghostcard does not know. */
export async function checkEnvironment(env: NodeJS.ProcessEnv, warn: (text: string) => void): Promise<void> {
  for (const [name, value = ''] of Object.entries(env)) {
    if (!name.startsWith('GHOSTCARD_') || value === '' || IN_THE_GUEST.test(name)) continue;
    if (!Object.hasOwn(VARIABLES, name)) {
      warn(`ghostcard does not know the environment variable ${name}; it knows ${Object.keys(VARIABLES).join(', ')}`);
      continue;
    }
    try {
      await VARIABLES[name]?.(value);
    } catch (error) {
      throw new UsageError((error as Error).message);
    }
  }
}

/** A cache that exists may be read-only: everything may be in it. */
function makeCache(value: string): void {
  try {
    makeFolder(resolve(value));
  } catch (error) {
    throw new Error(
      `GHOSTCARD_CACHE is '${value}', and there can be no such folder: ${(error as Error).message}; set it to a folder ` +
        'that you can write to, or unset it',
    );
  }
}

function checkAddress(value: string): void {
  if (URL.canParse(value) && /^(https?|ftp|file):/.test(value)) return;
  throw new Error(`GHOSTCARD_MIRROR is '${value}'; it must be the address of a Debian mirror, the part before dists/`);
}
