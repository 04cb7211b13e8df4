/**
 * Polls without progress: the driver reads one register over and over and gets the same value, while nothing else happens
 * at the card. The trace's ring counts such reads anyway and is checked now and then, so an access costs nothing.
 */
import { Region } from '../../emulator/pci';
import { type CardTrace, type RecentEvent } from '../trace';
import { accessed, by, deviceTime, type StallNotice, type RecentAccess, seconds, stateOf } from './notice';

/** A card that has something scheduled may just be slow: its limit is this many times as long. */
const PATIENCE = 10;

export class Polling {
  /** The reads: their place in the ring, and the count that they began with. */
  #sequence = -1;
  #isOver = true;
  #timesBefore = 0;
  #sinceNs = 0;
  #timesSeen = 0;
  #steadyNs = 0;
  #turns = 0;
  #isReported = false;

  constructor(
    private readonly trace: CardTrace,
    private readonly limits: { readonly polls: number; readonly limitNs: number },
  ) {}

  /** A task of the card has run. */
  turn(): void {
    this.#turns++;
  }

  /** The card has done something that a driver may wait for. */
  progress(): void {
    this.#isOver = true;
  }

  /** Whether the driver may be polling without progress. */
  get isSteady(): boolean {
    return !this.#isOver && !this.#isReported && this.#steadyNs > 0;
  }

  /** To be called now and then, with the time since the last call. */
  check(elapsedNs: number): StallNotice | undefined {
    const newest = this.trace.newestFirst().next().value as RecentEvent | undefined;
    // Configuration space is the guest's kernel's: it polls for resets, interrupts and hot-plug, and takes its time.
    if (newest?.kind !== 'read' || newest.region === Region.CONFIG) return this.progress() as undefined;
    if (this.#isOver || newest.sequence !== this.#sequence) return this.#begin(newest) as undefined;
    const isReading = newest.times !== this.#timesSeen;
    this.#timesSeen = newest.times;
    if (!isReading) return undefined;
    this.#steadyNs += elapsedNs;
    const polls = newest.times - this.#timesBefore;
    const { limits } = this;
    const isBusy = this.#turns > 0 || this.trace.card.inspection.clock.waiting > 0;
    const limitNs = limits.limitNs * (isBusy ? PATIENCE : 1);
    if (this.#isReported || polls < limits.polls || this.#steadyNs < limitNs) return undefined;
    this.#isReported = true;
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
    this.#isReported = false;
  }

  #notice(newest: RecentAccess, polls: number): StallNotice {
    const { register, value } = accessed(this.trace, newest);
    const isAllOnes = newest.data.every((byte, at) => byte === 0xff || at >= 8);
    const hint = isAllOnes ? ', which is what a read returns when no device answers' : '';
    const forNs = this.trace.card.inspection.now() - this.#sinceNs;
    const turns = this.#turns === 0 ? '' : ` ${this.#turns} runs of its tasks have changed nothing.`;
    const text =
      `the driver polls ${register}: ${polls} reads in ${seconds(forNs)}, since ${deviceTime(this.#sinceNs)}, ` +
      `${newest.origin ? `last${by(newest)}, ` : ''}always ${value}${hint}.${turns} ${stateOf(this.trace)}`;
    return { kind: 'polling', register, text };
  }
}
