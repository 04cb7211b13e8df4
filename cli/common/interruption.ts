/**
 * Ctrl-C, SIGTERM and SIGHUP as an AbortSignal. The first one tears everything down in an orderly way; a second one ends
 * the process at once (the guards still leave nothing behind).
 *
 * Under npm, the process that a user sees and may kill is npm's: its end counts as a SIGHUP.
 */
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { EXIT } from './errors';
import { exitWith } from './own-process';

export class Interruption extends Error {
  override readonly name = 'Interruption';
  readonly signalNumber: number;

  constructor(readonly signal: NodeJS.Signals) {
    super(`stopped by ${signal}`);
    this.signalNumber = constants.signals[signal];
  }
}

export function interruption(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (controller.signal.aborted) exitWith(EXIT.SIGNAL + constants.signals[signal]);
      controller.abort(new Interruption(signal));
    });
  }
  if (process.env.npm_command !== undefined) {
    onOrphaned(() => controller.abort(new Interruption('SIGHUP')));
  }
  return controller.signal;
}

const LOOK_EVERY_MS = 250;

/** Calls back once when npm, or the shell that it runs scripts with, has ended. */
function onOrphaned(callback: () => void): void {
  const ancestors = (): string => [process.ppid, parentOf(process.ppid)].join();
  const before = ancestors();
  const timer = setInterval(() => {
    if (ancestors() === before) return;
    clearInterval(timer);
    callback();
  }, LOOK_EVERY_MS);
  timer.unref();
}

/** Parent of a process, by proc(5), /proc/pid/stat: the second field behind the name. */
function parentOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return Number(
      stat
        .slice(stat.lastIndexOf(')') + 1)
        .trim()
        .split(' ')[1],
    );
  } catch {
    return undefined; // it has ended
  }
}
