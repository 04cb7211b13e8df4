/**
 * Interrupt moderation: reduces completions that request an interrupt to fewer interrupts: one after a number of them,
 * or a time after the first, whichever is earlier.
 */
import { type Clock, type ScheduledTask } from '../clock';

/** Makes fewer interrupts of completions: one after a number of them or a time after the first, whichever is earlier. */
export class InterruptModeration {
  #pending = 0;
  #timer: ScheduledTask | undefined;

  constructor(
    private readonly clock: Clock,
    private readonly limits: () => { count: number; timeoutUs: number },
    private readonly fire: () => void,
  ) {}

  /** A completion that requests an interrupt. */
  completed(): void {
    this.#pending++;
    const { count, timeoutUs } = this.limits();
    if (this.#pending >= count) this.fireNow();
    else if (timeoutUs > 0) this.#timer ??= this.clock.after(timeoutUs * 1000, () => this.fireNow());
  }

  /** Interrupts at once: for pending completions, or for an error. */
  fireNow(): void {
    this.clear();
    this.fire();
  }

  /** Forgets completions that no interrupt has reported. */
  clear(): void {
    this.#pending = 0;
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}
