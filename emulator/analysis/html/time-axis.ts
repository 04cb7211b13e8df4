/**
 * Device time on one axis. Each card's time counts from when the card was made; a card that comes later is shifted by how
 * much later it came. What belongs to no card (a mark) lies where the cards have got to.
 */
import { type TraceEvent } from '../../trace';

export class TimeAxis {
  readonly #offsets = new Map<number, number>();
  #first: { timeNs: number; hostNs: number } | undefined;
  #reached = 0;

  /** To be called with each event, in order. */
  place(event: TraceEvent): number {
    const { card, timeNs, hostNs } = event;
    if (card === 0) return this.#reached;
    if (!this.#offsets.has(card)) {
      this.#first ??= { timeNs, hostNs };
      this.#offsets.set(card, hostNs - this.#first.hostNs - (timeNs - this.#first.timeNs));
    }
    const placed = timeNs + this.#offsets.get(card)!;
    this.#reached = Math.max(this.#reached, placed);
    return placed;
  }

  offsetOf(card: number): number {
    return this.#offsets.get(card) ?? 0;
  }
}
