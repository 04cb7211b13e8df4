/**
 * How long to poll the socket after a message before returning to the event loop.
 *
 * A guest that has just read a register usually reads the next one soon. Receiving that message while still polling
 * saves a sleep and a wake-up, which cost more than serving it. For a guest with rare accesses, polling is not
 * worthwhile. So the wait is twice the last pause, within limits; a pause beyond the maximum halves it. An idle device
 * costs nothing: after one wait without a message the event loop has the thread.
 */
export interface SpinLimits {
  /** Minimum wait, even after long pauses, so that a run of messages is noticed at its start. */
  readonly minUs: number;
  /** Maximum wait. Longer pauses are left to the event loop. */
  readonly maxUs: number;
}

export const defaultSpinLimits: SpinLimits = { minUs: 10, maxUs: 200 };

export class SpinPolicy {
  #budgetUs: number;

  constructor(readonly limits: SpinLimits = defaultSpinLimits) {
    this.#budgetUs = limits.maxUs;
  }

  /** How long to poll for the next message, in microseconds. */
  get budgetUs(): number {
    return this.#budgetUs;
  }

  /** A message arrived through the event loop, `pauseUs` after the end of the last work. */
  woken(pauseUs: number): void {
    const { minUs, maxUs } = this.limits;
    if (pauseUs <= maxUs) this.#budgetUs = Math.min(maxUs, Math.max(this.#budgetUs, 2 * pauseUs));
    else this.#budgetUs = Math.max(minUs, this.#budgetUs / 2);
  }
}
