/**
 * The clock that a card lives by: the one it was given, but time stands still while the card reacts to something (an
 * access, the turn of a task that it had scheduled). Whatever it asks or schedules meanwhile has the time of the cause,
 * so that a card that gets the same stimuli at the same times does the same again: what replay rests on.
 */
import { type Clock, type ScheduledTask } from './clock';

export class CardClock implements Clock {
  /** Is told before a task has its turn. */
  onTask: () => void = () => {};
  /** Is told when something comes inside a reaction, before it has its effect. */
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

  /** Tasks of the card that wait for their time. With none, it will do nothing before something is done to it. */
  get waiting(): number {
    return this.#waiting;
  }

  after(delayNs: number, task: () => void): ScheduledTask {
    return this.at(this.now() + Math.max(0, delayNs), task);
  }

  /** The card keeps its client waiting. Its own time goes on when it has answered. */
  stall(ns: number): void {
    this.clock.stall?.(ns);
  }

  /** The card begins to react; to be followed by `leave`. Inside another reaction, time goes on standing still. */
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
    // A tick that is asked for in a microtask comes when there are no more microtasks.
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
