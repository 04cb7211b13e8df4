/**
 * Who started this process, noted when this module is loaded, before anything else: under npm, the process that a user
 * sees and may kill is npm's, and it may be killed while ghostcard is being loaded.
 */
import { readFileSync } from 'node:fs';

const noted = parents();
/** npm had ended before that. It stays so: when one of those ends, the parents are others. */
const wasLost = process.env.npm_command !== undefined && isAdopted(noted);

/** Whether npm, or the shell that it runs scripts with, has ended. False where npm has not started this process. */
export function hasLostNpm(): boolean {
  if (process.env.npm_command === undefined) return false;
  return wasLost || parents().join() !== noted.join();
}

function parents(): readonly number[] {
  const parent = process.ppid;
  return [parent, parentOf(parent) ?? 0];
}

/** Parent of a process, by proc(5), /proc/pid/stat: the second field behind the name; undefined when it has ended. */
function parentOf(pid: number): number | undefined {
  const stat = readOf(pid, 'stat');
  return stat === undefined ? undefined : Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
}

/** What adopts processes stands in npm's place. npm may be the first one in a container. */
function isAdopted(pids: readonly number[]): boolean {
  const isInit = (pid: number): boolean => pid === 1 || readOf(pid, 'comm')?.trim() === 'systemd';
  return pids.some(isInit) && !pids.some((pid) => /\b(npm|npx|pnpm|yarn)\b/.test(readOf(pid, 'cmdline') ?? ''));
}

function readOf(pid: number, name: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'latin1');
  } catch {
    return undefined; // it has ended
  }
}
