/** The cards of a trace: what their descriptions in it say, for whoever reads it event by event. */
import { type CardDescription, RegisterNames, type TraceEvent } from '../trace';

export interface TraceCard {
  /** As events name it in `card`. */
  readonly id: number;
  readonly description: CardDescription;
  readonly names: RegisterNames;
}

const UNKNOWN = new RegisterNames([]);

export class TraceCards {
  readonly #cards = new Map<number, TraceCard>();

  /** Those of all of `events`. */
  static of(events: Iterable<TraceEvent>): TraceCards {
    const cards = new TraceCards();
    for (const event of events) cards.note(event);
    return cards;
  }

  /** Takes up what the event says of its card: to be called with each event, in order. */
  note(event: TraceEvent): void {
    if (event.kind !== 'card') return;
    const { card: id, description } = event;
    this.#cards.set(id, { id, description, names: new RegisterNames(description.registers) });
  }

  get(id: number): TraceCard | undefined {
    return this.#cards.get(id);
  }

  get all(): TraceCard[] {
    return [...this.#cards.values()];
  }

  /** The card's registers; none for a card that the trace does not describe. */
  names(id: number): RegisterNames {
    return this.#cards.get(id)?.names ?? UNKNOWN;
  }

  /** The memory of the card that lies there; undefined where there is none. */
  memoryAt(id: number, region: number, at: number): CardDescription['memory'][number] | undefined {
    return this.#cards
      .get(id)
      ?.description.memory.find(
        ({ region: bar, offset, sizeBytes }) => bar === region && at >= offset && at < offset + sizeBytes,
      );
  }

  /** What to call it in words. Cards of the same name are told apart by their number. */
  nameOf(id: number): string {
    const name = this.#cards.get(id)?.description.name;
    if (name === undefined) return `card ${id}`;
    const isAlone = this.all.every((other) => other.id === id || other.description.name !== name);
    return isAlone ? name : `${name} (card ${id})`;
  }
}
