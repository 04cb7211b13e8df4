/**
 * Device time that follows the machine's: what a card is served with.
 *
 * Whoever has the thread anyway calls `runDue()` (the vfio-user session does, between messages), so that a doorbell is
 * acted upon without a detour; what nobody runs is run by the event loop. Node's timers are no finer than a
 * millisecond, so a delay below that is waited out with setImmediate, which polls: delays of a card's latency are
 * microseconds and rare.
 */
import { type Clock, type ScheduledTask } from './clock';
import { TaskQueue } from './task-queue';

/** Below this, a timer would come too late. */
const timerGrainNs = 2_000_000;

export class WallClock implements Clock {
  readonly #queue = new TaskQueue();
  readonly #startedAt = process.hrtime.bigint();
  #wakeUpAtNs: number | undefined;
  #cancelWakeUp: () => void = () => {};
  #closed = false;

  now(): number {
    return Number(process.hrtime.bigint() - this.#startedAt);
  }

  after(delayNs: number, task: () => void): ScheduledTask {
    const scheduled = this.#queue.add(this.now() + Math.max(0, delayNs), task);
    this.#arrangeWakeUp();
    return scheduled;
  }

  runDue(): boolean {
    let ran = false;
    // Bounded by what is due on entry: a task that schedules itself again at once must not hold the caller for ever.
    const untilNs = this.now();
    for (let task = this.#queue.takeDue(untilNs); task; task = this.#queue.takeDue(untilNs)) {
      ran = true;
      task();
    }
    if (ran) this.#arrangeWakeUp();
    return ran;
  }

  /** Nothing runs any more; what was scheduled is forgotten. */
  close(): void {
    this.#closed = true;
    this.#cancelWakeUp();
  }

  #arrangeWakeUp(): void {
    const dueNs = this.#queue.nextDueNs;
    if (this.#closed || dueNs === undefined || (this.#wakeUpAtNs !== undefined && this.#wakeUpAtNs <= dueNs)) return;
    this.#cancelWakeUp();
    this.#wakeUpAtNs = dueNs;
    const wakeUp = (): void => {
      this.#wakeUpAtNs = undefined;
      this.#cancelWakeUp = () => {};
      this.runDue();
      this.#arrangeWakeUp();
    };
    const waitNs = dueNs - this.now();
    if (waitNs < timerGrainNs) {
      const immediate = setImmediate(wakeUp);
      this.#cancelWakeUp = () => clearImmediate(immediate);
    } else {
      const timer = setTimeout(wakeUp, Math.floor((waitNs - timerGrainNs) / 1_000_000));
      this.#cancelWakeUp = () => clearTimeout(timer);
    }
  }
}
