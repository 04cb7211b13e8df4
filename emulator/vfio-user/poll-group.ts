/**
 * Polls the active connections of this process in one loop.
 *
 * A connection polls its socket for a while before it goes to sleep (spin.ts), but there is only one thread: polling
 * for one card alone would delay the messages of the others. So every connection with recent work is polled in turn, as
 * long as one of them expects a message soon. After about a millisecond at the latest the event loop gets the thread,
 * for timers, QMP and everything else, and calls again if more messages have arrived. If no connection expects a
 * message, the event loop has the thread.
 */
import { type SpinPolicy } from './spin';

/** Result of polling a connection once. */
export const IDLE = 0;
export const WORKED = 1;
/** Worked and settled a promise: return to the event loop now and come back soon. */
export const YIELD = 2;
export type PollResult = typeof IDLE | typeof WORKED | typeof YIELD;

export interface PollMember {
  readonly spin: SpinPolicy;
  /** When it last had work. Maintained by the group. */
  lastWorkUs: number;
  /** Serves what has arrived. If nothing has, waits for up to `spinUs` microseconds. Must not throw. */
  poll(spinUs: number): PollResult;
}

/** The longest time in one call from the event loop. */
const TURN_US = 1000;
/** The longest wait of one system call. Between slices, the device's clock runs its due work. */
const SLICE_US = 10;
/** A connection without work for this long is no longer polled. */
const RECENT_US = 5000;

export class PollGroup {
  readonly #recent: PollMember[] = [];
  #again: NodeJS.Immediate | undefined;

  constructor(private readonly nowUs: () => number = () => performance.now() * 1000) {}

  /** Called from the event loop when a message for `member` has arrived. */
  woken(member: PollMember): void {
    const pauseUs = this.nowUs() - member.lastWorkUs;
    if (!this.#recent.includes(member)) this.#recent.push(member);
    member.spin.woken(pauseUs);
    this.#turn();
  }

  /** Stops polling `member`. */
  leave(member: PollMember): void {
    const index = this.#recent.indexOf(member);
    if (index >= 0) this.#recent.splice(index, 1);
  }

  #turn(): void {
    const startedUs = this.nowUs();
    let spinUs = 0;
    for (;;) {
      let leftUs = 0;
      let result: PollResult = IDLE;
      // Backwards, because a member may leave.
      for (let i = this.#recent.length - 1; i >= 0 && result !== YIELD; i--) {
        const member = this.#recent[i];
        if (member === undefined) continue;
        result = member.poll(spinUs);
        const nowUs = this.nowUs();
        if (result !== IDLE) member.lastWorkUs = nowUs;
        leftUs = Math.max(leftUs, member.spin.budgetUs - (nowUs - member.lastWorkUs));
        if (nowUs - member.lastWorkUs > RECENT_US) this.leave(member);
      }
      if (result === YIELD) {
        this.#again ??= setImmediate(() => {
          this.#again = undefined;
          this.#turn();
        });
        return;
      }
      if (leftUs <= 0 || this.#recent.length === 0 || this.nowUs() - startedUs >= TURN_US) return;
      spinUs = this.#recent.length === 1 ? Math.min(SLICE_US, Math.ceil(leftUs)) : 0;
    }
  }
}

/** The process has one thread, so one group. */
export const sharedPollGroup = new PollGroup();
