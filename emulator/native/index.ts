/** The one file that loads the addon. */
import { join } from 'node:path';
import { type Native } from './interface';

export * from './interface';

/** Built by `npm ci` (package.json's install script runs make in this folder). */
export const addonPath = join(__dirname, 'build', 'ghostcard.node');

let loaded: Native | undefined;

/** The addon; loaded by the first call, so that in-process use of a card needs no compiler. */
export function loadNative(): Native {
  return (loaded ??= loadAddon(addonPath));
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
