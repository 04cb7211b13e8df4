/** Wakes a wall clock: one callback from the event loop, after a delay. */
export interface Alarm {
  /** Calls back once, not before `delayNs` nanoseconds from now; replaces what was set before. */
  set(delayNs: number, callback: () => void): void;
  clear(): void;
  /** Releases its timer. */
  close(): void;
}

/**
 * Node's own timers: no finer than a millisecond, so a shorter delay ends late. Enough where nobody measures time. They
 * count from the beginning of a millisecond, and end early by as much as that is ago: then the rest is waited for.
 */
export class CoarseAlarm implements Alarm {
  #cancel: () => void = () => {};

  set(delayNs: number, callback: () => void): void {
    this.clear();
    if (delayNs <= 0) {
      const immediate = setImmediate(callback);
      this.#cancel = () => clearImmediate(immediate);
    } else {
      const dueNs = process.hrtime.bigint() + BigInt(Math.ceil(delayNs));
      const ring = (): void => {
        const restNs = Number(dueNs - process.hrtime.bigint());
        if (restNs > 0) this.set(restNs, callback);
        else callback();
      };
      const timer = setTimeout(ring, Math.ceil(delayNs / 1_000_000));
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
