/** What cards have done to memory lately, by the number of the step: what a race is about. */
import { type DmaRole } from '../../emulator/memory';
import { type Doorbell } from '../observer';

/** An access of memory by a card. */
export interface Step {
  readonly card: string;
  /** '' for a card that does not say. */
  readonly channel: string;
  readonly role: DmaRole;
  readonly isWrite: boolean;
  readonly iova: number;
  readonly sizeBytes: number;
  /** Device time. */
  readonly timeNs: number;
  /** The last register write of the driver before it. */
  readonly doorbell: Doorbell | undefined;
}

/** So many are remembered. A power of two. */
const REMEMBERED = 1 << 15;

export class Steps {
  readonly #steps: Step[] = [];
  /** The number of the last one; modulo 2^32, as the plugin compares them. */
  #last = 0;

  get last(): number {
    return this.#last;
  }

  /** Returns its number. */
  add(step: Step): number {
    this.#last = (this.#last + 1) >>> 0;
    this.#steps[this.#last % REMEMBERED] = step;
    return this.#last;
  }

  /** Undefined when it was too long ago. */
  at(number: number): Step | undefined {
    const age = (this.#last - number) >>> 0;
    return age < REMEMBERED ? this.#steps[number % REMEMBERED] : undefined;
  }
}
