/** Step `busybox`: the guest's shell and utilities, one statically linked program from the host's suite. */
import { copyFileSync, existsSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { versionsOf } from '../packages/apt-root';
import { type Described, type Entry } from '../cache/cache';
import { type Context } from './context';
import { ProvisionError } from '../basis/errors';

const RECIPE = 1;
/** Its possible paths in the package; it has moved with merged /usr. */
const PLACES = ['usr/bin/busybox', 'bin/busybox'];

interface Manifest extends Described {
  readonly packages: Record<string, string>;
}

function ingredients(context: Context): Record<string, unknown> {
  return { recipe: RECIPE, suite: context.suite().codename, guestArch: context.guestArch };
}

/** The path of the busybox to use, if it exists without fetching anything. */
export function findBusybox(context: Context): string | undefined {
  const { busybox } = context.given;
  if (busybox !== undefined) return checkedBusybox(path.resolve(busybox));
  const entry = cachedBusybox(context);
  return entry && busyboxProgram(entry);
}

type BusyboxEntry = Entry<Manifest>;

export const busyboxProgram = ({ folder }: BusyboxEntry): string => path.join(folder, 'busybox');

/** Debian's. */
export function cachedBusybox(context: Context): BusyboxEntry | undefined {
  const { guestArch } = context;
  return (
    context.packed<Manifest>('busybox', { recipe: RECIPE, guestArch }) ??
    context.cache.find<Manifest>('busybox', ingredients(context))
  );
}

/** A busybox of the user must not need shared libraries: the guest has none. */
function checkedBusybox(file: string): string {
  const cure =
    'give --busybox (or GHOSTCARD_BUSYBOX) a statically linked busybox, such as that of Debian busybox-static';
  const attempted = 'checking the given busybox';
  if (!existsSync(file) || !statSync(file).isFile())
    throw new ProvisionError({ attempted, seen: `there is no file ${file}`, cure });
  const needsLoader = readFileSync(file).includes('/ld-linux');
  if (needsLoader) throw new ProvisionError({ attempted, seen: `${file} needs shared libraries`, cure });
  return file;
}

export async function fetchBusybox(context: Context): Promise<BusyboxEntry> {
  const progress = context.progress('busybox');
  const apt = context.hostSuiteApt();
  const entry = await context.cache.publish<Manifest>('busybox', ingredients(context), async (folder) => {
    const files = await apt.download([`busybox-static:${context.guestArch}`], progress);
    const unpacked = path.join(folder, 'unpacked');
    await apt.unpack(files, unpacked, progress);
    const place = PLACES.find((candidate) => existsSync(path.join(unpacked, candidate)));
    if (place === undefined) {
      throw new ProvisionError({
        attempted: 'extracting busybox from its package',
        seen: `it has none of ${PLACES.join(', ')}`,
        cure: 'provide your own with --busybox',
      });
    }
    copyFileSync(path.join(unpacked, place), path.join(folder, 'busybox'));
    const packages = versionsOf(files);
    return { description: `busybox ${Object.values(packages).join(' ')} of ${context.suite().codename}`, packages };
  });
  progress.finish(`busybox ${Object.values(entry.manifest.packages).join(' ')}`);
  return entry;
}
