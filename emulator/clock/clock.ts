/**
 * Device time. A card never asks the machine's clock. It is given one of these: a wall clock when a guest drives it, a
 * manual clock in tests and replays, so that a run can be repeated.
 */
export interface Clock {
  /** Nanoseconds since this clock was made; never goes back. */
  now(): number;
  /**
   * Runs `task` once, `delayNs` nanoseconds from now, never inside this call (not even for 0).
   * Tasks run in the order of their due times, and among equals in the order in which they were scheduled.
   */
  after(delayNs: number, task: () => void): ScheduledTask;
  /** The same at a time of this clock; if that has passed, as soon as possible. */
  at(timeNs: number, task: () => void): ScheduledTask;
  /**
   * Lets this much time pass while the thread waits; tasks that become due run afterwards. The clock of a replay does not
   * have it: there, time comes from the trace.
   */
  stall?(ns: number): void;
}

/** Something that a clock will call. */
export interface ScheduledTask {
  /** The task will not run; nothing happens if it already has. */
  cancel(): void;
}
