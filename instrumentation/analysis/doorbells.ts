/**
 * Which interrupt answers which doorbell: a driver rings for a channel, the channel moves data, the interrupt follows.
 * Matched by order and by name, since a trace does not say more.
 */
import { type AccessEvent, type InterruptEvent, type TraceEvent } from '../trace';
import { type TraceCards } from './card-names';
import { wildcard } from './register-pattern';

/** The registers that are taken for doorbells. */
export const DOORBELLS = '*DOORBELL*';

/** A doorbell and the first interrupt of its channel after it. */
export interface Answer {
  readonly doorbell: AccessEvent;
  readonly interrupt: InterruptEvent;
  /** The channel of the interrupt; '' when the card names none. */
  readonly channel: string;
}

export class DoorbellAnswers {
  readonly #pattern: RegExp;
  /** Whether a channel has a doorbell by its name. */
  readonly #owned = new Map<string, boolean>();
  readonly #cards = new Map<number, { rung: Map<string, AccessEvent>; channel: string }>();

  /** `cards` must have noted an event before `take` gets it. */
  constructor(
    private readonly cards: TraceCards,
    doorbells = DOORBELLS,
  ) {
    this.#pattern = wildcard(doorbells);
  }

  /** Returns the answer, if the event is an interrupt that answers a doorbell. */
  take(event: TraceEvent): Answer | undefined {
    if (event.card === 0) return undefined;
    let state = this.#cards.get(event.card);
    if (!state) this.#cards.set(event.card, (state = { rung: new Map(), channel: '' }));
    const { rung } = state;
    if (event.kind === 'write') {
      const name = this.#doorbell(event);
      if (name !== undefined) rung.set(plain(name), event);
    } else if (event.kind === 'dma-read' || event.kind === 'dma-write') {
      state.channel = event.channel;
    } else if (event.kind === 'reset') {
      rung.clear();
    } else if (event.kind === 'interrupt' && event.phase === 'delivered') {
      const key = this.#keyFor(rung, event.card, state.channel);
      if (key === undefined) return undefined;
      const doorbell = rung.get(key)!;
      rung.delete(key);
      return { doorbell, interrupt: event, channel: state.channel };
    }
    return undefined;
  }

  /**
   * The doorbell whose name fits the channel's, as `H2C[0].DOORBELL` fits 'H2C0'. Where no names fit, the only one that
   * has rung.
   */
  #keyFor(rung: ReadonlyMap<string, AccessEvent>, card: number, channel: string): string | undefined {
    const names = [...rung.keys()];
    if (this.#hasDoorbell(card, channel)) return names.find((name) => name.startsWith(plain(channel)));
    return names.length === 1 ? names[0] : undefined;
  }

  #hasDoorbell(card: number, channel: string): boolean {
    if (channel === '') return false;
    const key = `${card} ${channel}`;
    let has = this.#owned.get(key);
    if (has === undefined) {
      const named = this.cards.names(card).all.filter(({ name }) => this.#pattern.test(name));
      this.#owned.set(key, (has = named.some(({ name }) => plain(name).startsWith(plain(channel)))));
    }
    return has;
  }

  #doorbell({ card, region, offset, data }: AccessEvent): string | undefined {
    const register = this.cards.names(card).at(region, offset, data.length);
    return register && this.#pattern.test(register.name) ? register.name : undefined;
  }
}

/** Without punctuation and case, in which names of channels and registers differ. */
const plain = (name: string): string => name.replace(/[^a-z\d]/gi, '').toUpperCase();
