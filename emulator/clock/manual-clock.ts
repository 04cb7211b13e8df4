/** Device time that stands still until a test moves it: runs are exactly repeatable and waits cost nothing. */
import { type Clock, type ScheduledTask } from './clock';
import { TaskQueue } from './task-queue';

export class ManualClock implements Clock {
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

  /** Due time of the next task in nanoseconds, or undefined when nothing is scheduled. */
  get nextDueNs(): number | undefined {
    return this.#queue.nextDueNs;
  }

  /** Moves time on by `ns`, running each task at its own due time, those that they schedule on the way included. */
  advance(ns: number): void {
    const untilNs = this.#nowNs + ns;
    for (;;) {
      const dueNs = this.#queue.nextDueNs;
      if (dueNs === undefined || dueNs > untilNs) break;
      this.#nowNs = Math.max(this.#nowNs, dueNs);
      this.#queue.takeDue(this.#nowNs)?.();
    }
    this.#nowNs = untilNs;
  }

  stall(ns: number): void {
    this.#nowNs += ns;
  }

  /** Runs what is due now without moving time, and says whether anything ran. */
  runDue(): boolean {
    let ran = false;
    for (let task = this.#queue.takeDue(this.#nowNs); task; task = this.#queue.takeDue(this.#nowNs)) {
      ran = true;
      task();
    }
    return ran;
  }
}
