/**
 * Device time of a replay: that of the stimulus being replayed. A task has its turn when the trace says that one had, and
 * then it is the next in the order of due times.
 */
import { type Clock, type ScheduledTask } from '../clock';
import { TaskQueue } from '../clock/task-queue';

export class ReplayClock implements Clock {
  readonly #queue = new TaskQueue();
  #nowNs = 0;

  now(): number {
    return this.#nowNs;
  }

  after(delayNs: number, task: () => void): ScheduledTask {
    return this.at(this.#nowNs + Math.max(0, delayNs), task);
  }

  at(timeNs: number, task: () => void): ScheduledTask {
    return this.#queue.add(timeNs, task);
  }

  moveTo(timeNs: number): void {
    this.#nowNs = timeNs;
  }

  /** When the next task is due, in nanoseconds; undefined when nothing is scheduled. */
  get nextDueNs(): number | undefined {
    return this.#queue.nextDueNs;
  }

  /** Takes the next task out, if it is due by now. */
  takeDue(): (() => void) | undefined {
    return this.#queue.takeDue(this.#nowNs);
  }
}
