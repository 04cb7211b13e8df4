/**
 * For tests only: the converters of GTKWave, which read and write value change dumps as its viewer does. Debian's
 * package without the viewer and its libraries; the host has the other libraries of the converters.
 */
import { readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { versionsOf } from '../../../qemu/provision/packages/apt-root';
import { type Described, type Entry } from '../../../qemu/provision/cache/cache';
import { Context } from '../../../qemu/provision/steps/context';
import { withProvisioningLock } from '../../../qemu/provision/provision';
import { runTool } from '../../../qemu/provision/basis/tools';
import { type ProvisionOptions } from '../../../qemu/provision/basis/types';

const RECIPE = 1;
/** The viewer's libraries, which its converters do not need (names of both suites), and what every Debian has. */
const PROVIDED = [
  ...['libcairo2', 'libgdk-pixbuf-2.0-0', 'libglib2.0-0', 'libglib2.0-0t64', 'libgtk-3-0', 'libgtk-3-0t64'],
  ...['libpango-1.0-0', 'libpangocairo-1.0-0', 'libtcl8.6', 'libtk8.6', 'dconf-gsettings-backend', 'gsettings-backend'],
  ...['libc6', 'libgcc-s1', 'libstdc++6', 'libbz2-1.0', 'liblzma5'],
]
  .map((name) => `${name} (= 999)`)
  .concat('zlib1g (= 99:999)');

const PACKAGE = 'gtkwave';
const CONVERTERS = ['vcd2fst', 'fst2vcd'] as const;

interface Manifest extends Described {
  readonly packages: Record<string, string>;
}

export interface Gtkwave {
  /** Converts a VCD into GTKWave's own format (FST) and back: the result is what GTKWave has read. */
  reread(vcdPath: string, workFolder: string): Promise<string>;
}

/** Fetches them when they are not in the cache. */
export async function provisionGtkwave(options: ProvisionOptions = {}): Promise<Gtkwave> {
  const context = new Context(options);
  const find = () => context.cache.find<Manifest>(PACKAGE, ingredients(context));
  const entry = find() ?? (await withProvisioningLock(context, async () => find() ?? (await fetchGtkwave(context))));
  const convert = async (converter: (typeof CONVERTERS)[number], args: readonly string[]): Promise<void> => {
    const root = path.join(entry.folder, 'root');
    await runTool(path.join(root, 'usr/bin', converter), [...args], {
      attempted: `converting with ${converter}`,
      env: { LD_LIBRARY_PATH: context.libraryFolder(root) },
      signal: context.signal,
    });
  };
  return {
    async reread(vcdPath, workFolder) {
      const [fst, vcd] = [path.join(workFolder, 'reread.fst'), path.join(workFolder, 'reread.vcd')];
      await convert('vcd2fst', ['-v', vcdPath, '-f', fst]);
      await convert('fst2vcd', ['-f', fst, '-o', vcd]);
      return vcd;
    },
  };
}

const ingredients = (context: Context): Record<string, unknown> => ({
  recipe: RECIPE,
  hostArch: context.hostArch,
  suite: context.suite().codename,
});

async function fetchGtkwave(context: Context): Promise<Entry<Manifest>> {
  const progress = context.progress('gtkwave');
  const apt = context.hostProgramsApt(PROVIDED);
  const entry = await context.cache.publish<Manifest>(PACKAGE, ingredients(context), async (folder) => {
    const files = await apt.download([PACKAGE], progress);
    const root = path.join(folder, 'root');
    await apt.unpack(files, root, progress);
    removeOthers(root);
    return { description: "GTKWave's converters, for tests", packages: versionsOf(files) };
  });
  progress.finish(entry.manifest.description);
  return entry;
}

function removeOthers(root: string): void {
  const drop = (folder: string, keep: readonly string[]): void => {
    for (const name of readdirSync(path.join(root, folder))) {
      if (!keep.includes(name)) rmSync(path.join(root, folder, name), { recursive: true });
    }
  };
  drop('usr', ['bin', 'lib']);
  drop('usr/bin', CONVERTERS);
}
