/** Wakes a wall clock: one callback from the event loop, after a delay. */
export interface Alarm {
  /** Calls back once, not before `delayNs` nanoseconds from now; replaces what was set before. */
  set(delayNs: number, callback: () => void): void;
  clear(): void;
  /** Releases its timer. */
  close(): void;
}

/** Node's own timers: no finer than a millisecond, so a shorter delay ends late. Enough where nobody measures time. */
export class CoarseAlarm implements Alarm {
  #cancel: () => void = () => {};

  set(delayNs: number, callback: () => void): void {
    this.clear();
    if (delayNs <= 0) {
      const immediate = setImmediate(callback);
      this.#cancel = () => clearImmediate(immediate);
    } else {
      const timer = setTimeout(callback, Math.ceil(delayNs / 1_000_000));
      this.#cancel = () => clearTimeout(timer);
    }
  }

  clear(): void {
    this.#cancel();
    this.#cancel = () => {};
  }

  close(): void {
    this.clear();
  }
}
