/** The one file that loads the addon. */
import { readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Native } from './interface';

export * from './interface';

/** Built by `npm ci` (package.json's install script runs make in this folder). */
export const addonPath = join(__dirname, 'build', 'ghostcard.node');

let loaded: Native | undefined;

/** The addon; loaded by the first call, so that in-process use of a card needs no compiler. */
export function loadNative(): Native {
  if (loaded === undefined) {
    requireBuilt(addonPath, __dirname);
    loaded = loadAddon(addonPath);
  }
  return loaded;
}

/** Throws when a source is younger than the addon: after an update that one would do what it did before, or nothing. */
export function requireBuilt(path: string, sources: string): void {
  const builtMs = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Infinity; // loading says best that it is not there
  const younger = readdirSync(sources)
    .filter((name) => /\.[ch]$/.test(name) && statSync(join(sources, name)).mtimeMs > builtMs)
    .join(', ');
  if (younger === '') return;
  throw new Error(
    `The native part of ghostcard, ${path}, is older than its sources (${younger}): build it anew with "npm ci" ` +
      `(or "make -C ${dirname(dirname(path))}").`,
  );
}

export function loadAddon(path: string): Native {
  const addon = { exports: {} };
  try {
    process.dlopen(addon, path);
  } catch (cause) {
    throw new Error(
      `The native part of ghostcard cannot be loaded from ${path}: ${(cause as Error).message.split('\n')[0]}. ` +
        `Build it with "npm ci" (or "make -C emulator/native"); it needs a C compiler (cc) and make, on Linux.`,
      { cause },
    );
  }
  return addon.exports as Native;
}
