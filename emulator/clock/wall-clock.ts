/**
 * Device time that follows the machine's: the clock of a served card.
 *
 * The vfio-user session calls `runDue()` between messages, so that the card acts on a doorbell without delay. What is due
 * at other times is run by an alarm, from the event loop.
 *
 * A task runs later than it is due: by a millisecond with Node's timers. While it runs, time stands where it was due, so
 * that waits which follow each other add up to what was asked for; what they are behind is made up for. Nobody is told a
 * time behind a task that is still to run: a driver that polls the card does not cost it what it is behind.
 */
import { type Alarm, CoarseAlarm } from './alarm';
import { type Clock, type ScheduledTask } from './clock';
import { TaskQueue } from './task-queue';

export interface WallClockOptions {
  /** Default: Node's timers, no finer than a millisecond. */
  readonly alarm?: Alarm;
  /** Gets what a task throws when the alarm runs it. Default: an uncaught error. */
  readonly onError?: (error: unknown) => void;
  /** Time begins with `start`: a card is made at time 0, however long that takes. Default: it begins at once. */
  readonly isStarted?: boolean;
  /** Called when tasks have run. */
  readonly onWorked?: () => void;
}

/** More lateness than this is not made up for: a breakpoint, a machine that was suspended. */
const MADE_UP_NS = 100e6;
/** For so long, tasks that follow from others and are due already run in the same call. */
const CATCH_UP_NS = 200e3;

/** Never notified: a wait for it lasts until its time-out. */
const NEVER = new Int32Array(new SharedArrayBuffer(4));

export class WallClock implements Clock {
  readonly #queue = new TaskQueue();
  #startedAt: [number, number] | undefined;
  readonly #alarm: Alarm;
  readonly #onError: ((error: unknown) => void) | undefined;
  readonly #onWorked: (() => void) | undefined;
  #alarmAtNs: number | undefined;
  /** Time while a task runs. */
  #heldNs: number | undefined;
  /** The latest that anybody has been told. */
  #toldNs = 0;
  #closed = false;

  constructor({ alarm = new CoarseAlarm(), isStarted = true, onError, onWorked }: WallClockOptions = {}) {
    if (isStarted) this.start();
    this.#alarm = alarm;
    this.#onError = onError;
    this.#onWorked = onWorked;
  }

  now(): number {
    if (this.#heldNs !== undefined) return this.#heldNs;
    const realNs = this.#real();
    const dueNs = this.#queue.nextDueNs ?? Infinity;
    const nowNs = dueNs < realNs ? Math.max(dueNs, realNs - MADE_UP_NS) : realNs;
    return (this.#toldNs = Math.max(this.#toldNs, nowNs));
  }

  #real(): number {
    // Half of what process.hrtime.bigint() takes: every event of the card's trace asks.
    if (this.#startedAt === undefined) return 0;
    const [seconds, nanoseconds] = process.hrtime();
    return (seconds - this.#startedAt[0]) * 1e9 + (nanoseconds - this.#startedAt[1]);
  }

  start(): void {
    this.#startedAt ??= process.hrtime();
  }

  after(delayNs: number, task: () => void): ScheduledTask {
    return this.at(this.now() + Math.max(0, delayNs), task);
  }

  at(timeNs: number, task: () => void): ScheduledTask {
    const scheduled = this.#queue.add(timeNs, task);
    this.#arrangeAlarm();
    return scheduled;
  }

  stall(ns: number): void {
    Atomics.wait(NEVER, 0, 0, ns / 1e6);
  }

  /** Runs everything that is due and says whether anything ran. What a task throws, it throws. */
  runDue(): boolean {
    if (this.#closed || this.#queue.nextDueNs === undefined) return false;
    // Bounded by what is there on entry: a task that schedules itself again at once must not hold the caller for ever.
    const untilNs = this.#real();
    const { nextOrder } = this.#queue;
    const outerNs = this.#heldNs;
    let ran = false;
    try {
      for (;;) {
        const dueNs = this.#queue.nextDueNs ?? Infinity;
        const catchesUp = ran && dueNs > this.#heldNs! && this.#real() - untilNs < CATCH_UP_NS;
        const task = this.#queue.takeDue(untilNs, catchesUp ? Infinity : nextOrder);
        if (task === undefined) break;
        ran = true;
        this.#heldNs = this.#toldNs = Math.max(this.#toldNs, dueNs, untilNs - MADE_UP_NS);
        task();
      }
    } finally {
      this.#heldNs = outerNs;
      if (ran) {
        this.#arrangeAlarm();
        this.#onWorked?.();
      }
    }
    return ran;
  }

  /** Discards what was scheduled; nothing runs any more. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#alarm.close();
  }

  #arrangeAlarm(): void {
    const dueNs = this.#queue.nextDueNs;
    if (this.#closed || dueNs === undefined || (this.#alarmAtNs !== undefined && this.#alarmAtNs <= dueNs)) return;
    this.#alarmAtNs = dueNs;
    this.#alarm.set(dueNs - this.#real(), () => this.#alarmed());
  }

  #alarmed(): void {
    this.#alarmAtNs = undefined;
    try {
      this.runDue();
    } catch (error) {
      if (this.#onError === undefined) throw error;
      this.#onError(error);
    } finally {
      this.#arrangeAlarm();
    }
  }
}
