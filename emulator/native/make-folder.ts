/** mkdir(2) with parents. Node's own `recursive` never returns in a file system that answers ENOENT, such as /proc. */
import { mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

/** Makes the folder and its parents where they are missing. @throws the error of the first that cannot be made */
export function makeFolder(path: string, mode?: number): void {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) return;
  const parent = dirname(path);
  if (parent !== path) makeFolder(parent, mode);
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    const isThere = statSync(path, { throwIfNoEntry: false })?.isDirectory(); // by another process, meanwhile
    if (!isThere) throw error;
  }
}
