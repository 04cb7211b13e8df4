/**
 * A driver that reads one register over and over, and gets the same answer, while nothing else happens at the card. The
 * trace's ring counts such reads anyway: it is looked at now and then, and an access costs nothing.
 */
import { type CardTrace, type RecentEvent } from '../trace';
import { accessed, deviceTime, type StallNotice, type RecentAccess, seconds, stateOf } from './notice';

/** A card that has something scheduled may well be slow: it is given so many times as long. */
const PATIENCE = 10;

export class Polling {
  /** The reads in question: their place in the ring, and where they began to count. */
  #sequence = -1;
  #isOver = true;
  #timesBefore = 0;
  #sinceNs = 0;
  #timesSeen = 0;
  #steadyNs = 0;
  #turns = 0;
  #isTold = false;

  constructor(
    private readonly trace: CardTrace,
    private readonly limits: { readonly polls: number; readonly limitNs: number },
  ) {}

  /** A task of the card has had its turn. */
  turn(): void {
    this.#turns++;
  }

  /** The card has done something that a driver may be waiting for. */
  progress(): void {
    this.#isOver = true;
  }

  /** To be called now and then, with the time since the last call. */
  look(elapsedNs: number): StallNotice | undefined {
    const newest = this.trace.newestFirst().next().value as RecentEvent | undefined;
    if (newest?.kind !== 'read') return this.progress() as undefined;
    if (this.#isOver || newest.sequence !== this.#sequence) return this.#begin(newest) as undefined;
    const isReading = newest.times !== this.#timesSeen;
    this.#timesSeen = newest.times;
    if (!isReading) return undefined;
    this.#steadyNs += elapsedNs;
    const polls = newest.times - this.#timesBefore;
    const { limits } = this;
    const isBusy = this.#turns > 0 || this.trace.card.inspection.clock.waiting > 0;
    const limitNs = limits.limitNs * (isBusy ? PATIENCE : 1);
    if (this.#isTold || polls < limits.polls || this.#steadyNs < limitNs) return undefined;
    this.#isTold = true;
    return this.#notice(newest, polls);
  }

  #begin(newest: RecentEvent): void {
    const isNew = newest.sequence !== this.#sequence;
    this.#sequence = newest.sequence;
    this.#isOver = false;
    this.#timesBefore = isNew ? 0 : newest.times;
    this.#timesSeen = newest.times;
    this.#sinceNs = isNew ? newest.timeNs : this.trace.card.inspection.now();
    this.#steadyNs = 0;
    this.#turns = 0;
    this.#isTold = false;
  }

  #notice(newest: RecentAccess, polls: number): StallNotice {
    const { register, value } = accessed(this.trace, newest);
    const isAllOnes = newest.data.every((byte, at) => byte === 0xff || at >= 8);
    const hint = isAllOnes ? ', which is what is read where nothing answers' : '';
    const forNs = this.trace.card.inspection.now() - this.#sinceNs;
    const turns = this.#turns === 0 ? '' : ` ${this.#turns} turns of its tasks have changed nothing.`;
    const text =
      `the driver polls ${register}: ${polls} reads in ${seconds(forNs)}, since ${deviceTime(this.#sinceNs)}, ` +
      `always ${value}${hint}.${turns} ${stateOf(this.trace)}`;
    return { kind: 'polling', register, text };
  }
}
