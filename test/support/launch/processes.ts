/** What tests need to see of processes: whether one is there, and a bounded wait until something holds. */
import { readFileSync } from 'node:fs';

const POLL_MS = 5;
const LIMIT_MS = 10_000;

/** False for a zombie too: it has ended, and only its parent has not looked yet. */
export function isRunning(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return !'ZX'.includes(stat.slice(stat.lastIndexOf(')') + 2)[0]!);
  } catch {
    return false;
  }
}

/** Resolves once `condition` holds; rejects, naming it, when it has not come true in good time. */
export async function until(what: string, condition: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + LIMIT_MS;
  while (!condition()) {
    if (performance.now() > deadlineMs) throw new Error(`Waited ${LIMIT_MS} ms until ${what}, in vain.`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
