/** Device time that stands still until a test moves it: runs are exactly repeatable and waits cost nothing. */
import { StillClock } from './still-clock';

/** Device time that stands still until a test moves it. */
export class ManualClock extends StillClock {
  /** Moves time on by `ns`, running each task at its own due time, those that they schedule on the way included. */
  advance(ns: number): void {
    const untilNs = this.nowNs + ns;
    for (;;) {
      const dueNs = this.nextDueNs;
      if (dueNs === undefined || dueNs > untilNs) break;
      this.nowNs = Math.max(this.nowNs, dueNs);
      this.takeDue()?.();
    }
    this.nowNs = untilNs;
  }

  /** The card has been busy: time passes, and what was due meanwhile is late. */
  stall(ns: number): void {
    this.nowNs += ns;
  }

  /** Runs what is due now without moving time, and says whether anything ran. */
  runDue(): boolean {
    let ran = false;
    for (let task = this.takeDue(); task; task = this.takeDue()) {
      ran = true;
      task();
    }
    return ran;
  }
}
