/**
 * Which doorbell led to which interrupt: a driver rings for a channel, the channel moves data, the interrupt follows. By
 * order and by name: a trace does not say more.
 */
import { type AccessEvent, type InterruptEvent, type TraceEvent } from '../trace';
import { type TraceCards } from './card-names';
import { wildcard } from './register-pattern';

/** Registers that are taken for doorbells. */
export const DOORBELLS = '*DOORBELL*';

/** A doorbell, and the first interrupt after it that its channel caused. */
export interface Answer {
  readonly doorbell: AccessEvent;
  readonly interrupt: InterruptEvent;
  /** The channel that the interrupt is for; '' when the card names none. */
  readonly channel: string;
}

export class DoorbellAnswers {
  readonly #pattern: RegExp;
  /** Whether a channel has a doorbell by its name. */
  readonly #owned = new Map<string, boolean>();
  readonly #cards = new Map<number, { rung: Map<string, AccessEvent>; channel: string }>();

  /** `cards` is to have noted an event before it is taken. */
  constructor(
    private readonly cards: TraceCards,
    doorbells = DOORBELLS,
  ) {
    this.#pattern = wildcard(doorbells);
  }

  /** A delivered interrupt may be the answer to a doorbell. */
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
   * The doorbell of this channel by its name, 'H2C0' and `H2C[0].DOORBELL`. Where the card's names do not go together,
   * the only one that has rung.
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

/** Without what names spell differently. */
const plain = (name: string): string => name.replace(/[^a-z\d]/gi, '').toUpperCase();
