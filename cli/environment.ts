/** The environment variables of the command line: a wrong one is told before anything is done, a misspelt one too. */
import { limitFromEnvironment } from '../emulator/watchdog';
import { cacheLimitBytes } from '../qemu/provision/cache/folder';
import { UsageError } from './common/usage-error';

/** What a variable must be, or nothing to say about it here. */
const VARIABLES: Readonly<Record<string, ((value: string) => void) | undefined>> = {
  GHOSTCARD_CACHE: undefined,
  GHOSTCARD_CACHE_LIMIT: (value) => void cacheLimitBytes({ GHOSTCARD_CACHE_LIMIT: value }),
  GHOSTCARD_QEMU: undefined,
  GHOSTCARD_KERNEL: undefined,
  GHOSTCARD_MODULES: undefined,
  GHOSTCARD_BUSYBOX: undefined,
  GHOSTCARD_MIRROR: checkAddress,
  GHOSTCARD_WATCHDOG: (value) => void limitFromEnvironment(value),
};
/** What a guest's command finds; ghostcard may be that command. */
const IN_THE_GUEST = /^GHOSTCARD_(PCI_ADDRESS|DEVICE)(_\d+)?$/;

/** Throws for a value that makes no sense; tells of names that nobody knows. */
export function checkEnvironment(env: NodeJS.ProcessEnv, warn: (text: string) => void): void {
  for (const [name, value = ''] of Object.entries(env)) {
    if (!name.startsWith('GHOSTCARD_') || value === '' || IN_THE_GUEST.test(name)) continue;
    if (!Object.hasOwn(VARIABLES, name)) {
      warn(
        `the environment variable ${name} means nothing to ghostcard; it knows ${Object.keys(VARIABLES).join(', ')}`,
      );
      continue;
    }
    try {
      VARIABLES[name]?.(value);
    } catch (error) {
      throw new UsageError((error as Error).message);
    }
  }
}

function checkAddress(value: string): void {
  if (URL.canParse(value) && /^(https?|ftp|file):/.test(value)) return;
  throw new Error(`GHOSTCARD_MIRROR is '${value}'; it must be the address of a Debian mirror, the part before dists/`);
}
