/** Access to files of the host. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

export interface TextFile {
  readonly name: string;
  readonly text: string;
}

/** The machine's apt source files, in the order in which apt reads them. */
export function readAptSources(folder = '/etc/apt'): TextFile[] {
  const parts = path.join(folder, 'sources.list.d');
  const names = existsSync(parts)
    ? readdirSync(parts)
        .filter((name) => /\.(list|sources)$/.test(name))
        .sort()
    : [];
  return [path.join(folder, 'sources.list'), ...names.map((name) => path.join(parts, name))]
    .filter((file) => existsSync(file))
    .map((name) => ({ name, text: readFileSync(name, 'utf8') }));
}

/** The text of os-release(5), which says what system this is; empty where nothing does. */
export function readOsRelease(): string {
  const file = ['/etc/os-release', '/usr/lib/os-release'].find((each) => existsSync(each));
  return file === undefined ? '' : readFileSync(file, 'utf8');
}

/** The relative paths of all regular files below a folder, sorted. Folders named in `except` are skipped. */
export function filesBelow(folder: string, except: readonly string[] = []): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .flatMap((entry) => {
      if (entry.isDirectory()) {
        if (except.includes(entry.name)) return [];
        return filesBelow(path.join(folder, entry.name), except).map((below) => path.join(entry.name, below));
      }
      return entry.isFile() ? [entry.name] : [];
    })
    .sort();
}
