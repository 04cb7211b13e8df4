/** What a run leaves behind: runs are given a folder for temporary files that nobody else has. */
import { readdirSync, readFileSync } from 'node:fs';

export interface Survivor {
  readonly pid: number;
  readonly commandLine: string;
}

/** The processes whose environment has the folder: the run, and what it has started. */
export function survivors(temporary: string): Survivor[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((name) => {
      try {
        if (!readFileSync(`/proc/${name}/environ`, 'latin1').includes(`TMPDIR=${temporary}\0`)) return [];
        const commandLine = readFileSync(`/proc/${name}/cmdline`, 'latin1').replaceAll('\0', ' ');
        return [{ pid: Number(name), commandLine }];
      } catch {
        return []; // it has ended meanwhile
      }
    });
}

/** Sockets, logs and folders of runs; the folder that holds them may stay. */
export function leftovers(temporary: string): string[] {
  return readdirSync(temporary, { recursive: true, encoding: 'utf8' }).filter((path) => path.includes('run-'));
}

/** Mounts below the folder, and those that mention it. */
export const mounts = (temporary: string): string[] =>
  readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .filter((line) => line.includes(temporary));
