/**
 * Step `browser`: a headless browser, for tests of pages; no guest needs one. Debian's, of the host's own suite, unpacked
 * with its libraries. It runs on the host's C library, since it starts itself again by /proc/self/exe, which must not be a
 * program loader.
 *
 * Source: ld.so(8); fonts-conf(5) for the file that says where its fonts are.
 */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { versionsOf } from '../../../qemu/provision/packages/apt-root';
import { hostFacts } from '../../../qemu/provision/basis/arch';
import { type Described, type Entry } from '../../../qemu/provision/cache/cache';
import { Context } from '../../../qemu/provision/steps/context';
import { withProvisioningLock } from '../../../qemu/provision/provision';
import { runTool } from '../../../qemu/provision/basis/tools';
import { type ProvisionOptions } from '../../../qemu/provision/basis/types';

const RECIPE = 1;
/** Not needed by a browser without a window, which uses the host's C library. */
const PROVIDED = ['libc6', 'x11-utils', 'xdg-utils', 'fontconfig-config'].map((name) => `${name} (= 999)`);

const PACKAGES = ['chromium-headless-shell', 'fonts-dejavu-core'];
/** A third of the packages' files is for a desktop, or documentation. */
const UNUSED = /^(libVkLayer_khronos_validation\.so|libVkICD_mock_icd\.so|chrome_200_percent\.pak|resources\.pak)/;
const UNUSED_SHARES = /^(?!fonts$|fontconfig$|xml$|X11$)/;

export interface ProvisionedBrowser {
  readonly command: string;
  /** To be added to the environment of the process. */
  readonly env: Readonly<Record<string, string>>;
  readonly version: string;
}

interface Manifest extends Described {
  readonly version: string;
  readonly packages: Record<string, string>;
}

/** A headless browser that speaks Chrome's DevTools protocol; fetched, if it is not in the cache. */
export async function provisionBrowser(options: ProvisionOptions = {}): Promise<ProvisionedBrowser> {
  const context = new Context(options);
  const find = () => context.cache.find<Manifest>('browser', ingredients(context));
  const entry = find() ?? (await withProvisioningLock(context, async () => find() ?? (await fetchBrowser(context))));
  return { ...commandOf(context, entry.folder), version: entry.manifest.version };
}

const ingredients = (context: Context): Record<string, unknown> => ({
  ...{ recipe: RECIPE, hostArch: context.hostArch, suite: context.suite().codename, packages: PACKAGES },
});

async function fetchBrowser(context: Context): Promise<Entry<Manifest>> {
  const progress = context.progress('browser');
  const apt = context.hostProgramsApt(PROVIDED);
  const entry = await context.cache.publish<Manifest>('browser', ingredients(context), async (folder) => {
    const files = await apt.download(PACKAGES, progress);
    const root = path.join(folder, 'root');
    await apt.unpack(files, root, progress);
    drop(path.join(root, 'usr/lib/chromium'), UNUSED);
    drop(path.join(root, 'usr/share'), UNUSED_SHARES);
    writeFontConfiguration(folder);
    const { command, env } = commandOf(context, folder);
    const text = await runTool(command, ['--version'], {
      attempted: 'starting the browser that was fetched',
      cure: 'if the host has been upgraded to another suite, remove the cache entry and run again',
      env,
      signal: context.signal,
    });
    const version = /[\d.]{5,}/.exec(text)?.[0] ?? 'unknown';
    const description = `headless Chromium ${version} of ${context.suite().codename}, for tests`;
    return { description, version, packages: versionsOf(files) };
  });
  progress.finish(entry.manifest.description);
  return entry;
}

function drop(folder: string, unused: RegExp): void {
  for (const name of readdirSync(folder).filter((each) => unused.test(each))) {
    rmSync(path.join(folder, name), { recursive: true });
  }
}

/** Only fonts of the packages: the look of a page must not depend on the host. */
function writeFontConfiguration(folder: string): void {
  mkdirSync(path.join(folder, 'fonts'));
  const family = (generic: string, name: string) =>
    `  <alias binding="same"><family>${generic}</family><prefer><family>${name}</family></prefer></alias>`;
  const lines = [
    '<?xml version="1.0"?>',
    '<!DOCTYPE fontconfig SYSTEM "fonts.dtd">',
    '<fontconfig>',
    '  <dir prefix="relative">../root/usr/share/fonts</dir>',
    '  <cachedir prefix="xdg">fontconfig</cachedir>',
    family('sans-serif', 'DejaVu Sans'),
    family('system-ui', 'DejaVu Sans'),
    family('monospace', 'DejaVu Sans Mono'),
    '</fontconfig>',
  ];
  writeFileSync(path.join(folder, 'fonts/fonts.conf'), `${lines.join('\n')}\n`);
}

function commandOf(context: Context, folder: string): Pick<ProvisionedBrowser, 'command' | 'env'> {
  const root = path.join(folder, 'root');
  // Packages from before the merge of /lib and /usr/lib have libraries in the former.
  const libraries = ['usr/lib', 'lib'].map((lib) => path.join(root, lib, hostFacts(context.hostArch).triplet));
  return {
    command: path.join(root, 'usr/lib/chromium/chromium-headless-shell'),
    env: {
      LD_LIBRARY_PATH: [...libraries, path.join(libraries[0]!, 'pulseaudio')].join(':'),
      FONTCONFIG_FILE: path.join(folder, 'fonts/fonts.conf'),
    },
  };
}
