/**
 * Which interrupt answers which doorbell: a driver rings for a channel, the channel moves data, the interrupt follows.
 * Which registers are doorbells of which channel, cards declare. Of one that does not, they are found by their names.
 */
import {
  type AccessEvent,
  DeclaredChannels,
  type Doorbell,
  doorbellValue,
  type InterruptEvent,
  type TraceEvent,
} from '../trace';
import { type TraceCards } from './card-names';
import { NamePattern } from '../../emulator/registers/name-pattern';

/** The registers that are taken for doorbells where a card does not declare any. */
export const DOORBELLS = '*DOORBELL*';

/** A doorbell and the first interrupt of its channel after it. */
export interface Answer {
  readonly doorbell: AccessEvent;
  readonly interrupt: InterruptEvent;
  /** The channel of the interrupt; '' when the card names none. */
  readonly channel: string;
}

/** The doorbells of a card. */
interface Bells {
  /** What the write rings: a channel, or a register. */
  rungBy(write: AccessEvent): string | undefined;
  /** Which of those that have rung an interrupt of this channel answers. */
  answeredBy(channel: string, rung: readonly string[]): string | undefined;
}

interface CardState {
  readonly bells: Bells;
  readonly rung: Map<string, AccessEvent>;
  /** That has accessed host memory last. */
  channel: string;
}

export class DoorbellAnswers {
  readonly #cards = new Map<number, CardState>();

  /**
   * `cards` must have noted an event before `take` gets it.
   * @param doorbells pattern of the registers that are doorbells, whatever cards declare
   */
  constructor(
    private readonly cards: TraceCards,
    private readonly doorbells?: string,
  ) {}

  /** Returns the answer, if the event is an interrupt that answers a doorbell. */
  take(event: TraceEvent): Answer | undefined {
    if (event.card === 0) return undefined;
    let state = this.#cards.get(event.card);
    if (!state || event.kind === 'card') {
      const bells = bellsOf(this.cards, event.card, this.doorbells);
      this.#cards.set(event.card, (state = { bells, rung: new Map(), channel: '' }));
    }
    const { bells, rung } = state;
    if (event.kind === 'write') {
      const key = bells.rungBy(event);
      if (key !== undefined) rung.set(key, event);
    } else if (event.kind === 'dma-read' || event.kind === 'dma-write') {
      state.channel = event.channel;
    } else if (event.kind === 'reset') {
      rung.clear();
    } else if (event.kind === 'interrupt' && event.phase === 'sent') {
      const key = bells.answeredBy(state.channel, [...rung.keys()]);
      const doorbell = key === undefined ? undefined : rung.get(key);
      if (doorbell === undefined) return undefined;
      rung.delete(key!);
      return { doorbell, interrupt: event, channel: state.channel };
    }
    return undefined;
  }
}

function bellsOf(cards: TraceCards, card: number, doorbells?: string): Bells {
  const declared = new DeclaredChannels(cards.get(card)?.description.channels);
  const isDeclared = doorbells === undefined && declared.doorbells.length > 0;
  return isDeclared ? new DeclaredBells(declared) : new NamedBells(cards, card, doorbells ?? DOORBELLS);
}

/** The doorbell that each channel has been rung by last. */
export class ChannelDoorbells {
  readonly #cards = new Map<number, { readonly bells: Bells; readonly rung: Map<string, AccessEvent> }>();

  constructor(private readonly cards: TraceCards) {}

  /** `cards` must have noted an event before. */
  take(event: TraceEvent): void {
    const { card, kind } = event;
    if (kind === 'card') this.#cards.set(card, { bells: bellsOf(this.cards, card), rung: new Map() });
    const state = this.#cards.get(card);
    if (kind === 'reset') state?.rung.clear();
    if (state === undefined || kind !== 'write') return;
    const key = state.bells.rungBy(event);
    if (key !== undefined) state.rung.set(key, event);
  }

  /** Undefined when it is not known. */
  of(card: number, channel: string): AccessEvent | undefined {
    const state = this.#cards.get(card);
    const key = state?.bells.answeredBy(channel, [...state.rung.keys()]);
    return key === undefined ? undefined : state?.rung.get(key);
  }
}

class DeclaredBells implements Bells {
  readonly #written = new Map<Doorbell, bigint>();

  constructor(private readonly channels: DeclaredChannels) {}

  rungBy({ region, offset, data }: AccessEvent): string | undefined {
    // What a bit is before a write is not in a trace: hardware may have cleared it.
    const doorbell = this.channels.rungBy(region, offset, data, (bell) =>
      bell.rings === 'changed' ? this.#written.get(bell) : undefined,
    );
    if (doorbell?.rings === 'changed') this.#written.set(doorbell, doorbellValue(doorbell, offset, data));
    return doorbell?.channel;
  }

  answeredBy(channel: string): string {
    return channel;
  }
}

class NamedBells implements Bells {
  readonly #pattern: NamePattern;
  /** Whether a channel has a doorbell by its name. */
  readonly #owned = new Map<string, boolean>();

  constructor(
    private readonly cards: TraceCards,
    private readonly card: number,
    doorbells: string,
  ) {
    this.#pattern = new NamePattern(doorbells);
  }

  rungBy({ region, offset, data }: AccessEvent): string | undefined {
    const register = this.cards.names(this.card).at(region, offset, data.length);
    return register && this.#pattern.isRegister(register) ? register.layout.path : undefined;
  }

  /**
   * The doorbell whose name fits the channel's, as `H2C[0].DOORBELL` fits 'H2C0'. Where no names fit, the only one that
   * has rung.
   */
  answeredBy(channel: string, rung: readonly string[]): string | undefined {
    if (this.#hasDoorbell(channel)) return rung.find((path) => isOf(channel, path));
    return rung.length === 1 ? rung[0] : undefined;
  }

  #hasDoorbell(channel: string): boolean {
    if (channel === '') return false;
    let has = this.#owned.get(channel);
    if (has === undefined) {
      const named = this.cards.names(this.card).all.filter((register) => this.#pattern.isRegister(register));
      this.#owned.set(channel, (has = named.some(({ layout }) => isOf(channel, layout.path))));
    }
    return has;
  }
}

/** Without punctuation and case, in which names of channels and registers differ. */
const plain = (name: string): string => name.replace(/[^a-z\d]/gi, '').toUpperCase();

/** Whether the register's path begins with the name of the channel: `H2C[1].DOORBELL` with 'H2C1', `H2C[10]…` not. */
function isOf(channel: string, path: string): boolean {
  const [name, register] = [plain(channel), plain(path)];
  return register.startsWith(name) && !/^\d/.test(register.slice(name.length));
}
