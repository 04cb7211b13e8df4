/** The folder for a run's logs, made and tried before anything is started: a run that cannot keep them is not begun. */
import { existsSync, mkdirSync, mkdtempSync, rmdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { UsageError } from './usage-error';

/** The folder's absolute path. Throws a UsageError when nothing can be written there. */
export function makeArtifactsFolder(folder: string): string {
  const path = resolve(folder);
  try {
    makeWithParents(path);
    rmdirSync(mkdtempSync(join(path, '.ghostcard-')));
    return path;
  } catch (error) {
    throw new UsageError(`--artifacts ${folder}: nothing can be written there: ${(error as Error).message}`);
  }
}

/** One by one: Node's own way to make parents never returns in a file system that says ENOENT, such as /proc. */
function makeWithParents(path: string): void {
  if (existsSync(path)) return;
  makeWithParents(dirname(path));
  mkdirSync(path);
}
