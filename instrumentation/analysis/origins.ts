/** Who did each register access, and wrote what cards have read, for readers that have the whole trace. */
import { type DmaEvent, isBarAccess, type TraceEvent, wordPlace } from '../trace';
import { type TraceCards } from './card-names';
import { type WrittenBytes, writtenBytes } from './written';

export class AccessOrigins {
  /** What has happened: all events but those that say who did an access, or wrote what was read. */
  readonly events: readonly TraceEvent[];
  readonly #places = new Map<TraceEvent, number>();
  readonly #written = new Map<TraceEvent, readonly WrittenBytes[]>();

  constructor(
    events: readonly TraceEvent[],
    private readonly cards: TraceCards,
  ) {
    const last = new Map<number, TraceEvent>();
    const lastDma = new Map<number, DmaEvent>();
    for (const event of events) {
      if (event.kind === 'dma-read') lastDma.set(event.card, event);
      const dma = lastDma.get(event.card);
      if (event.kind === 'written' && dma) this.#written.set(dma, writtenBytes(event, dma, cards));
      if (isBarAccess(event)) last.set(event.card, event);
      else if (event.kind === 'origin' && last.has(event.card)) this.#places.set(last.get(event.card)!, event.place);
    }
    this.events = events.filter(({ kind }) => !['origin', 'place', 'written'].includes(kind));
  }

  /** Who wrote what the card has read; none where that is not known. */
  writersOf(dma: TraceEvent): readonly WrittenBytes[] {
    return this.#written.get(dma) ?? [];
  }

  /** `driver.c:212 ring_doorbell (driver, process 71)`; undefined where it is not known. */
  of(access: TraceEvent): string | undefined {
    const place = this.cards.place(this.#places.get(access) ?? -1);
    return place && wordPlace(place);
  }
}
