/** The cards of a trace by their descriptions in it, for reading it event by event. */
import { type CardDescription, type PlaceEvent, printable, RegisterNames, type TraceEvent } from '../trace';

/** A card of a trace. */
export interface TraceCard {
  /** The `card` of its events. */
  readonly id: number;
  readonly description: CardDescription;
  /** @internal */
  readonly names: RegisterNames;
}

const UNKNOWN = new RegisterNames([]);

/** The cards of a trace, by their descriptions in it. */
export class TraceCards {
  readonly #cards = new Map<number, TraceCard>();
  readonly #places = new Map<number, PlaceEvent>();

  /** All cards in `events`. */
  static of(events: Iterable<TraceEvent>): TraceCards {
    const cards = new TraceCards();
    for (const event of events) cards.note(event);
    return cards;
  }

  /** To be called with each event, in order. */
  note(event: TraceEvent): void {
    if (event.kind === 'place' && this.#places.get(event.place)?.name === undefined)
      this.#places.set(event.place, event);
    if (event.kind !== 'card') return;
    const { card: id, description } = event;
    this.#cards.set(id, { id, description, names: new RegisterNames(description.registers, description.channels) });
  }

  /** The card with a number, once it has been added. */
  get(id: number): TraceCard | undefined {
    return this.#cards.get(id);
  }

  get all(): TraceCard[] {
    return [...this.#cards.values()];
  }

  /** @internal The card's registers; none for a card that the trace does not describe. */
  names(id: number): RegisterNames {
    return this.#cards.get(id)?.names ?? UNKNOWN;
  }

  /** What is known of a place in code of the guest. */
  place(place: number): PlaceEvent | undefined {
    return this.#places.get(place);
  }

  /** The card's memory at that place; undefined where there is none. */
  memoryAt(id: number, region: number, at: number): CardDescription['memory'][number] | undefined {
    return this.#cards
      .get(id)
      ?.description.memory.find(
        ({ region: bar, offset, sizeBytes }) => bar === region && at >= offset && at < offset + sizeBytes,
      );
  }

  /** Its name in words; with its number, when several cards have that name. */
  nameOf(id: number): string {
    const name = this.#cards.get(id)?.description.name;
    if (name === undefined) return `card ${id}`;
    const isAlone = this.all.every((other) => other.id === id || other.description.name !== name);
    return printable(isAlone ? name : `${name} (card ${id})`);
  }
}
