/**
 * An alarm of microseconds: a timerfd that the event loop watches. What a served card's latencies are made with.
 *
 * Source: timerfd_create(2).
 */
import { type Native, type Poller, READABLE } from '../native';
import { type Alarm, CoarseAlarm } from './alarm';

export class TimerfdAlarm implements Alarm {
  readonly #native: Native;
  readonly #timer: number;
  readonly #poller: Poller;
  /** For what is due at once: the next turn of the event loop. */
  readonly #immediately = new CoarseAlarm();
  #callback: (() => void) | undefined;

  constructor(native: Native) {
    this.#native = native;
    this.#timer = native.timerfd();
    this.#poller = new native.Poller(this.#timer, () => this.#expired());
    // A card that waits does not keep the process alive; the socket it is served on does.
    this.#poller.start(READABLE);
    this.#poller.unref();
  }

  set(delayNs: number, callback: () => void): void {
    this.clear();
    if (delayNs <= 0) return this.#immediately.set(0, callback);
    this.#callback = callback;
    this.#native.timerfdSet(this.#timer, Math.ceil(delayNs));
  }

  clear(): void {
    this.#immediately.clear();
    if (this.#callback === undefined) return;
    this.#callback = undefined;
    this.#native.timerfdSet(this.#timer, -1);
  }

  close(): void {
    this.clear();
    this.#poller.close();
    this.#native.close(this.#timer);
  }

  #expired(): void {
    if (this.#native.timerfdRead(this.#timer) === 0) return; // set anew in the meantime
    const callback = this.#callback;
    this.#callback = undefined;
    callback?.();
  }
}
