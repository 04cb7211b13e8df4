/**
 * Device times on one axis. Each card's time counts from when the card was made; a card that comes later is shifted by
 * that. An event of no card, such as a mark, gets the latest time of any card before it.
 */
import { type TraceEvent } from '../trace';

/** Device time per host time of a card in real time, within what a run of seconds can deviate. */
const SAME_PACE = [0.5, 2] as const;

export class TimeAxis {
  readonly #offsets = new Map<number, number>();
  readonly #isRealTime: boolean;
  #first: { readonly timeNs: number; readonly hostNs: number } | undefined;
  #reached = 0;

  constructor(events: readonly TraceEvent[]) {
    const first = events.find(({ card }) => card !== 0);
    const last = events.findLast(({ card }) => card === first?.card);
    const pace = first && last ? (last.timeNs - first.timeNs) / (last.hostNs - first.hostNs) : NaN;
    this.#isRealTime = pace > SAME_PACE[0] && pace < SAME_PACE[1];
  }

  /** To be called with each event, in order. */
  place(event: TraceEvent): number {
    const { card, timeNs } = event;
    if (card === 0) return this.#reached;
    if (!this.#offsets.has(card)) this.#offsets.set(card, this.#beginning(event) - timeNs);
    const placed = timeNs + this.#offsets.get(card)!;
    this.#reached = Math.max(this.#reached, placed);
    return placed;
  }

  offsetOf(card: number): number {
    return this.#offsets.get(card) ?? 0;
  }

  /** Where a card begins on the axis. */
  #beginning({ timeNs, hostNs }: TraceEvent): number {
    const first = this.#first;
    if (first === undefined) {
      this.#first = { timeNs, hostNs };
      return timeNs;
    }
    return this.#isRealTime ? first.timeNs + hostNs - first.hostNs : this.#reached;
  }
}
