/**
 * The connections of this process that are awake, asked in one loop for their next message.
 *
 * Each would rather be asked a little longer than sleep (spin.ts), but there is one thread: waiting for one card alone
 * would keep the others' messages waiting. So whoever had work lately is asked in turn, for as long as one of them
 * expects a message soon. Timers, QMP and everything else have their turn after about a millisecond at the latest; the
 * event loop calls again if more has come. When nobody expects anything, the event loop has the thread.
 */
import { type SpinPolicy } from './spin';

/** What one look at a connection came to. */
export const IDLE = 0;
export const WORKED = 1;
/** Worked, and something waits for the event loop (a promise was settled): go there now and come back soon. */
export const YIELD = 2;
export type PollResult = typeof IDLE | typeof WORKED | typeof YIELD;

export interface PollMember {
  readonly spin: SpinPolicy;
  /** When it last had work; kept by the group. */
  lastWorkUs: number;
  /** Does what there is to do; asks for up to `spinUs` when there is nothing. Must not throw. */
  poll(spinUs: number): PollResult;
}

/** Longest stay in one call from the event loop. */
const TURN_US = 1000;
/** A connection alone is asked for this long by one system call; in between, the device's clock has its turn. */
const SLICE_US = 10;
/** A connection without work for this long is left to the event loop. */
const RECENT_US = 5000;

export class PollGroup {
  readonly #recent: PollMember[] = [];
  #again: NodeJS.Immediate | undefined;

  constructor(private readonly nowUs: () => number = () => performance.now() * 1000) {}

  /** The event loop has found a message for `member`. */
  woken(member: PollMember): void {
    const pauseUs = this.nowUs() - member.lastWorkUs;
    if (!this.#recent.includes(member)) this.#recent.push(member);
    member.spin.woken(pauseUs);
    this.#turn();
  }

  /** `member` is not to be asked any more. */
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

/** One thread, one group. */
export const sharedPollGroup = new PollGroup();
