/** For tests of processes: whether one is running, and a wait for a condition, with a limit. */
import { readFileSync } from 'node:fs';

const POLL_MS = 5;
const LIMIT_MS = 10_000;

/** False for a zombie too: it has ended, and its parent has not waited for it yet. */
export function isRunning(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return !'ZX'.includes(stat.slice(stat.lastIndexOf(')') + 2)[0]!);
  } catch {
    return false;
  }
}

/** Resolves once `condition` holds; rejects with its name at the time limit. */
export async function until(what: string, condition: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + LIMIT_MS;
  while (!condition()) {
    if (performance.now() > deadlineMs) throw new Error(`Waited ${LIMIT_MS} ms until ${what}, which has not happened.`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
