/** Loads the addon. No other file does. */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { HOW_TO_BUILD, inPackage } from '../folders';
import { type Native } from './interface';

export * from './interface';
export { makeFolder } from './make-folder';

/** Built by `npm ci`: the install script in package.json runs make in this folder. */
const SOURCES = inPackage('emulator/native');
export const addonPath = join(SOURCES, 'build', 'ghostcard.node');

let loaded: Native | undefined;

/**
 * The addon. It is loaded by the first call, so that a card used in-process needs no compiler. @throws Error if it
 * cannot be loaded
 */
export function loadNative(): Native {
  if (loaded === undefined) {
    requireBuilt(addonPath, SOURCES);
    loaded = loadAddon(addonPath);
  }
  return loaded;
}

/**
 * Throws if a source is newer than the binary at `path`: after an update, the old binary would not behave as its
 * sources say.
 */
export function requireBuilt(path: string, sources: string): void {
  const builtMs = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Infinity; // loading reports a missing one
  const younger = readdirSync(sources)
    .filter((name) => /\.[ch]$/.test(name) && statSync(join(sources, name)).mtimeMs > builtMs)
    .join(', ');
  if (younger === '') return;
  throw new Error(
    `The native part of ghostcard, ${path}, is older than its sources (${younger}): build the native parts with ` +
      `${HOW_TO_BUILD}.`,
  );
}

export function loadAddon(path: string): Native {
  const addon = { exports: {} };
  try {
    process.dlopen(addon, path);
  } catch (cause) {
    throw new Error(
      `The native part of ghostcard cannot be loaded from ${path}: ${(cause as Error).message.split('\n')[0]}. ` +
        `Build the native parts with ${HOW_TO_BUILD}.`,
      { cause },
    );
  }
  return addon.exports as Native;
}
