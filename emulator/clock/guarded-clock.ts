/**
 * A clock that several cards share, as one of them sees it: what its tasks throw is reported as its own, whoever lets the
 * clock run.
 */
import { type Clock, type ScheduledTask } from './clock';

export class GuardedClock implements Clock {
  constructor(
    private readonly clock: Clock,
    private readonly onError: (error: unknown) => void,
  ) {}

  now(): number {
    return this.clock.now();
  }

  after(delayNs: number, task: () => void): ScheduledTask {
    return this.clock.after(delayNs, () => this.#run(task));
  }

  at(timeNs: number, task: () => void): ScheduledTask {
    return this.clock.at(timeNs, () => this.#run(task));
  }

  stall(ns: number): void {
    this.clock.stall?.(ns);
  }

  #run(task: () => void): void {
    try {
      task();
    } catch (error) {
      this.onError(error);
    }
  }
}
