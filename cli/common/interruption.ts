/**
 * Ctrl-C, SIGTERM and SIGHUP as an AbortSignal. The first one tears everything down in an orderly way; a second one ends
 * the process at once (the guards still leave nothing behind).
 *
 * Under npm, the process that a user sees and may kill is npm's: its end counts as a SIGHUP.
 */
import { constants } from 'node:os';
import { hasLostNpm } from './ancestors';
import { EXIT } from './errors';
import { sayError } from './output';
import { decidedExitCode, exitWith, standardOutput } from './own-process';

export class Interruption extends Error {
  override readonly name = 'Interruption';
  readonly signalNumber: number;

  constructor(readonly signal: NodeJS.Signals) {
    super(`stopped by ${signal}`);
    this.signalNumber = constants.signals[signal];
  }
}

/** The signal that this process was told to end with, if it was. */
let told: Interruption | undefined;

export function interruption(): AbortSignal {
  const controller = new AbortController();
  controller.signal.addEventListener('abort', () => (told = controller.signal.reason as Interruption));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (controller.signal.aborted) exitWith(EXIT.SIGNAL + constants.signals[signal]);
      controller.abort(new Interruption(signal));
    });
  }
  onLosingNpm(() => controller.abort(new Interruption('SIGHUP')));
  return controller.signal;
}

const UNREAD_MS = 2000;

/** To be called when the command is done: output that nobody reads does not keep a process that was told to end. */
export function giveUpUnreadOutput(): void {
  if (told === undefined) return;
  const { signal } = told;
  setTimeout(() => {
    if (standardOutput.writableLength === 0) return;
    sayError(`${signal}: gave up ${standardOutput.writableLength} bytes of output, which nobody has read for 2 s`);
    exitWith(decidedExitCode());
  }, UNREAD_MS).unref();
}

const LOOK_EVERY_MS = 250;

/** Calls back once, also for what has happened before. */
function onLosingNpm(callback: () => void): void {
  if (process.env.npm_command === undefined) return;
  if (hasLostNpm()) return callback();
  const timer = setInterval(() => {
    if (!hasLostNpm()) return;
    clearInterval(timer);
    callback();
  }, LOOK_EVERY_MS);
  timer.unref();
}
