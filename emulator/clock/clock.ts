/**
 * Device time. A card never asks the global clock: it is given one of these, a wall clock when it serves a guest and a
 * manual clock in tests and replay, so that the same run happens twice.
 */
export interface Clock {
  /** Nanoseconds since this clock was made; never goes back. */
  now(): number;
  /**
   * Runs `task` once, `delayNs` nanoseconds from now, never inside this call (not even for 0).
   * Tasks run in the order of their due times, and among equals in the order in which they were scheduled.
   */
  after(delayNs: number, task: () => void): ScheduledTask;
  /** The same at a time of this clock; one that has passed: as soon as possible. */
  at(timeNs: number, task: () => void): ScheduledTask;
  /**
   * Lets this much time pass while whoever has the thread waits; what becomes due has its turn afterwards. A clock
   * without it is one of a replay, where time passes by itself.
   */
  stall?(ns: number): void;
}

export interface ScheduledTask {
  /** The task will not run; nothing happens if it already has. */
  cancel(): void;
}
