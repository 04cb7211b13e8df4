/**
 * The clock of a card: the one it was given, but time stands still while the card reacts to something (an access, a
 * scheduled task that runs). Whatever it asks for or schedules meanwhile has the time of the cause. So a card that gets
 * the same stimuli at the same times does the same again, which is what a replay relies on.
 */
import { type Clock, type ScheduledTask } from './clock';

export class CardClock implements Clock {
  /** Called before a task runs. */
  onTask: () => void = () => {};
  /** Called when a stimulus arrives during a reaction, before it has its effect. */
  onNested: () => void = () => {};
  #heldNs = 0;
  #depth = 0;
  readonly #settling: (() => void)[] = [];
  #waiting = 0;

  constructor(private readonly clock: Clock) {}

  now(): number {
    return this.#depth > 0 ? this.#heldNs : this.clock.now();
  }

  at(timeNs: number, task: () => void): ScheduledTask {
    let isWaiting = true;
    const leave = () => {
      isWaiting = false;
      this.#waiting--;
    };
    this.#waiting++;
    const scheduled = this.clock.at(timeNs, () => {
      leave();
      this.#run(task);
    });
    return {
      cancel: () => {
        if (isWaiting) leave();
        scheduled.cancel();
      },
    };
  }

  /** Tasks of the card that are scheduled. Without any, the card does nothing until a stimulus arrives. */
  get waiting(): number {
    return this.#waiting;
  }

  after(delayNs: number, task: () => void): ScheduledTask {
    return this.at(this.now() + Math.max(0, delayNs), task);
  }

  /** The card delays its reply to the client. Its own time continues when it has replied. */
  stall(ns: number): void {
    this.clock.stall?.(ns);
  }

  /** The card begins to react; to be followed by `leave`. Within another reaction, time keeps standing still. */
  enter(): void {
    if (this.#depth++ === 0) this.#heldNs = this.clock.now();
    else this.onNested();
  }

  leave(): void {
    this.#depth--;
  }

  /**
   * Settles what the card may wait for (a DMA access, a promise); time stands still until all that follows from it has
   * run. One after the other, so that what follows from one is not mixed with what follows from the next.
   */
  settle(act: () => void): void {
    if (this.#settling.push(act) === 1) process.nextTick(() => this.#settleNext());
  }

  #settleNext(): void {
    // A tick that is requested in a microtask runs when no microtasks are left.
    queueMicrotask(() =>
      process.nextTick(() => {
        this.leave();
        this.#settling.shift();
        if (this.#settling.length > 0) this.#settleNext();
      }),
    );
    this.enter();
    this.#settling[0]!();
  }

  /** A manual clock may be moved inside a reaction: its tasks have their own time. */
  #run(task: () => void): void {
    const outerNs = this.#heldNs;
    const isNested = this.#depth++ > 0;
    this.#heldNs = this.clock.now();
    try {
      if (isNested) this.onNested();
      this.onTask();
      task();
    } finally {
      this.#heldNs = outerNs;
      this.#depth--;
    }
  }
}
