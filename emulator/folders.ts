/** The folders of ghostcard: its package, and its cache. */
import { existsSync, readFileSync } from 'node:fs';
import { homedir, userInfo } from 'node:os';
import { dirname, isAbsolute, join, resolve } from 'node:path';

const up = (folder: string): string => (existsSync(join(folder, 'package.json')) ? folder : up(dirname(folder)));

/**
 * The clone, or where the package is installed. What is read from disk is found from there, because the code may be the
 * sources or their JavaScript in `dist`.
 */
export const PACKAGE_FOLDER = up(__dirname);
/** `guest-tools/modules`: its absolute path. */
export const inPackage = (path: string): string => join(PACKAGE_FOLDER, path);

/** Both native parts. The package has them for x86-64; `npm ci` makes them in a clone. */
export const HOW_TO_BUILD =
  `"npm ci" in a clone, or with "make -C ${inPackage('emulator/native')} && make -C ${inPackage('qemu/launch')}"; ` +
  'it takes make and a C compiler (cc), on Linux';

export const { version, description } = JSON.parse(readFileSync(inPackage('package.json'), 'utf8')) as {
  readonly version: string;
  readonly description: string;
};

/** Undefined: nothing says where it is, and this user has no home folder. */
export function cacheFolder(env: NodeJS.ProcessEnv): string | undefined {
  if (env.GHOSTCARD_CACHE) return resolve(env.GHOSTCARD_CACHE);
  if (env.XDG_CACHE_HOME && isAbsolute(env.XDG_CACHE_HOME)) return join(env.XDG_CACHE_HOME, 'ghostcard');
  const home = homeFolder();
  return home && join(home, '.cache/ghostcard');
}

/** HOME may be empty, and the system may not know the user, for example in a container. */
function homeFolder(): string | undefined {
  for (const ask of [homedir, () => userInfo().homedir]) {
    try {
      const folder = ask();
      if (isAbsolute(folder)) return folder;
    } catch {
      // the system does not know this user
    }
  }
  return undefined;
}

/** JavaScript that was compiled from files of users. */
export const transpiledOf = (cache: string): string => join(cache, 'transpiled');
