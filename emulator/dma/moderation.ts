/**
 * Interrupt moderation: turns completions that ask for an interrupt into fewer interrupts, after a count of them or a
 * time after the first, whichever comes first.
 */
import { type Clock, type ScheduledTask } from '../clock';

export class InterruptModeration {
  #pending = 0;
  #timer: ScheduledTask | undefined;

  constructor(
    private readonly clock: Clock,
    private readonly limits: () => { count: number; timeoutUs: number },
    private readonly fire: () => void,
  ) {}

  /** A completion that asks for an interrupt. */
  completed(): void {
    this.#pending++;
    const { count, timeoutUs } = this.limits();
    if (this.#pending >= count) this.fireNow();
    else if (timeoutUs > 0) this.#timer ??= this.clock.after(timeoutUs * 1000, () => this.fireNow());
  }

  /** Interrupts at once, for what is pending and whatever made the caller ask (an error). */
  fireNow(): void {
    this.clear();
    this.fire();
  }

  clear(): void {
    this.#pending = 0;
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}
