/**
 * Ctrl-C and its kin, as an AbortSignal that whatever is running listens to. The first one takes everything down in good
 * order; a second one ends the process at once (the guards still leave nothing behind).
 */
import { constants } from 'node:os';
import { EXIT } from './exit-codes';

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
      if (controller.signal.aborted) process.exit(EXIT.SIGNAL + constants.signals[signal]);
      controller.abort(new Interruption(signal));
    });
  }
  return controller.signal;
}
