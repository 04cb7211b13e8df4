/** Who did each register access, for readers that have the whole trace. */
import { isBarAccess, type TraceEvent, wordPlace } from '../trace';
import { type TraceCards } from './card-names';

export class AccessOrigins {
  /** What has happened: all events but those that say who did an access. */
  readonly events: readonly TraceEvent[];
  readonly #places = new Map<TraceEvent, number>();

  constructor(
    events: readonly TraceEvent[],
    private readonly cards: TraceCards,
  ) {
    const last = new Map<number, TraceEvent>();
    for (const event of events) {
      if (isBarAccess(event)) last.set(event.card, event);
      else if (event.kind === 'origin' && last.has(event.card)) this.#places.set(last.get(event.card)!, event.place);
    }
    this.events = events.filter(({ kind }) => kind !== 'origin' && kind !== 'place');
  }

  /** `driver.c:212 ring_doorbell (driver, process 71)`; undefined where it is not known. */
  of(access: TraceEvent): string | undefined {
    const place = this.cards.place(this.#places.get(access) ?? -1);
    return place && wordPlace(place);
  }
}
