/**
 * Device time of a replay: that of the stimulus being replayed. A task has its turn when the trace says that one had, and
 * then it is the next in the order of due times.
 */
import { StillClock } from '../../emulator/clock/still-clock';

export class ReplayClock extends StillClock {
  moveTo(timeNs: number): void {
    this.nowNs = timeNs;
  }

  override takeDue(): (() => void) | undefined {
    return super.takeDue();
  }
}
