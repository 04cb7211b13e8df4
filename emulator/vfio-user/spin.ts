/**
 * How long to keep asking the socket after a message before going back to the event loop.
 *
 * A guest that has just read a register usually reads the next one soon, and catching that message while still awake
 * saves a sleep and a wake-up, which cost more than all of the work on it. A guest that comes rarely is not worth
 * waiting for. So: what is waited is twice the pause last seen, within bounds; a pause beyond the bounds halves it.
 * An idle device costs nothing: after one wait in vain the event loop has the thread.
 */
export interface SpinLimits {
  /** Waited even after long pauses, so that the first of a run of messages is not the last to be caught. */
  readonly minUs: number;
  /** Pauses longer than this are left to the event loop. */
  readonly maxUs: number;
}

export const defaultSpinLimits: SpinLimits = { minUs: 10, maxUs: 200 };

export class SpinPolicy {
  #budgetUs: number;

  constructor(readonly limits: SpinLimits = defaultSpinLimits) {
    this.#budgetUs = limits.maxUs;
  }

  /** How long to ask for the next message, in microseconds. */
  get budgetUs(): number {
    return this.#budgetUs;
  }

  /** A message came through the event loop, `pauseUs` after the last work on the one before. */
  woken(pauseUs: number): void {
    const { minUs, maxUs } = this.limits;
    if (pauseUs <= maxUs) this.#budgetUs = Math.min(maxUs, Math.max(this.#budgetUs, 2 * pauseUs));
    else this.#budgetUs = Math.max(minUs, this.#budgetUs / 2);
  }
}
