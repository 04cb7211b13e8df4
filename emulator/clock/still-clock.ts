/** Device time that stands still unless it is moved, with the tasks that wait for it: what manual clocks have in common. */
import { type Clock, type ScheduledTask } from './clock';
import { TaskQueue } from './task-queue';

export abstract class StillClock implements Clock {
  protected nowNs = 0;
  readonly #queue = new TaskQueue();

  now(): number {
    return this.nowNs;
  }

  after(delayNs: number, task: () => void): ScheduledTask {
    return this.at(this.nowNs + Math.max(0, delayNs), task);
  }

  at(timeNs: number, task: () => void): ScheduledTask {
    return this.#queue.add(timeNs, task);
  }

  /** Due time of the next task in nanoseconds, or undefined when nothing is scheduled. */
  get nextDueNs(): number | undefined {
    return this.#queue.nextDueNs;
  }

  /** Takes the next task out, if it is due by now. */
  protected takeDue(): (() => void) | undefined {
    return this.#queue.takeDue(this.nowNs);
  }
}
