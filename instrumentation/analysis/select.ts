/** Selects events of a trace: by kind, register, address, channel, time and card. */
import { type AccessEvent, Region, type TraceEvent, type TraceEventKind, valueOf } from '../trace';
import { wildcard } from '../../emulator/registers/name-pattern';
import { type TraceCards } from './card-names';
import { RegisterPattern } from './register-pattern';

export interface Selection {
  /** Default: all. */
  readonly kinds?: readonly TraceEventKind[];
  /**
   * Accesses of registers, such as `H2C[*].DOORBELL`; of a register with a field of some value,
   * `H2C[0].STATUS.ERROR=1`. `*` stands for any characters.
   */
  readonly registers?: readonly string[];
  /** Accesses in these parts of regions, and DMA and mappings in these parts of host memory. */
  readonly ranges?: readonly AddressRange[];
  /** DMA and states of these parts of a card, such as `H2C0`; `*` stands for any characters. */
  readonly channels?: readonly string[];
  /** Device time. An event of no card is selected if the event before it is in this time. */
  readonly fromNs?: number;
  readonly toNs?: number;
  /** By name or number. */
  readonly card?: string;
  /** Leave out accesses of configuration space. */
  readonly withoutConfig?: boolean;
}

/** First and last byte, both included. */
export interface AddressRange {
  /** VFIO region; host memory when left out. */
  readonly region?: number;
  readonly from: number;
  readonly to: number;
}

/** To be given the events of a trace in order, from its beginning. */
export class EventSelector {
  readonly #cards: TraceCards;
  readonly #selection: Selection;
  readonly #kinds: ReadonlySet<TraceEventKind> | undefined;
  readonly #registers: readonly RegisterPattern[];
  readonly #channels: readonly RegExp[];
  /** Registers, addresses or channels are selected: events without any of these are not. */
  readonly #hasPlaces: boolean;
  #isInTime: boolean;
  /** The names that `channels` can match, so far. */
  readonly #parts = new Set<string>();

  /** `cards` must have noted an event before `selects` gets it. */
  constructor(selection: Selection, cards: TraceCards) {
    this.#cards = cards;
    this.#selection = selection;
    this.#kinds = selection.kinds && new Set(selection.kinds);
    this.#registers = (selection.registers ?? []).map((pattern) => new RegisterPattern(pattern));
    this.#channels = (selection.channels ?? []).map(wildcard);
    this.#hasPlaces = this.#registers.length + this.#channels.length + (selection.ranges?.length ?? 0) > 0;
    this.#isInTime = (selection.fromNs ?? 0) <= 0;
  }

  selects(event: TraceEvent): boolean {
    const { kind, card, timeNs } = event;
    this.#notePart(event);
    const { fromNs = 0, toNs = Infinity, withoutConfig } = this.#selection;
    if (card !== 0) this.#isInTime = timeNs >= fromNs && timeNs <= toNs;
    if (!this.#isInTime || !this.#isOfCard(card)) return false;
    if (this.#kinds?.has(kind) === false) return false;
    if (withoutConfig && 'region' in event && event.region === Region.CONFIG) return false;
    return !this.#hasPlaces || this.#isAtPlace(event);
  }

  /** Why patterns mean no register of the known cards, a sentence each. */
  get unknownRegisters(): { pattern: string; why: string }[] {
    return this.#registers.flatMap((pattern) => {
      const why = pattern.unknownIn(this.#cards);
      return why === undefined ? [] : [{ pattern: pattern.text, why }];
    });
  }

  /** Channel patterns that match none of the names so far, which are `known`. */
  get unknownChannels(): { patterns: string[]; known: string[] } {
    const known = [...this.#parts].sort();
    const patterns = this.#selection.channels ?? [];
    return { patterns: patterns.filter((_, i) => !known.some((name) => this.#channels[i]!.test(name))), known };
  }

  /** The selected card is not among the known ones. */
  get isCardUnknown(): boolean {
    return !this.#cards.all.some(({ id }) => this.#isOfCard(id)) && this.#selection.card !== undefined;
  }

  #notePart(event: TraceEvent): void {
    if (this.#channels.length === 0) return;
    const part = partOf(event);
    if (part !== undefined) this.#parts.add(part);
  }

  #isOfCard(id: number): boolean {
    const { card } = this.#selection;
    if (card === undefined || id === 0) return true;
    return card === String(id) || this.#cards.get(id)?.description.name === card;
  }

  #isAtPlace(event: TraceEvent): boolean {
    const part = partOf(event);
    if (part !== undefined && this.#channels.some((pattern) => pattern.test(part))) return true;
    if ('iova' in event) return this.#isInRange(undefined, event.iova, event.sizeBytes);
    return (
      'region' in event && (this.#isInRange(event.region, event.offset, event.data.length) || this.#isOfRegister(event))
    );
  }

  #isOfRegister({ card, region, offset, data }: AccessEvent): boolean {
    if (this.#registers.length === 0) return false;
    const touched = this.#cards.names(card).touched(region, offset, data.length);
    return touched.some((register) => {
      const [from, sizeBytes] = [register.offset - offset, register.layout.width / 8];
      const isWhole = from >= 0 && from + sizeBytes <= data.length;
      const value = isWhole ? valueOf(data.subarray(from, from + sizeBytes)) : undefined;
      return this.#registers.some((pattern) => pattern.matches(register, value));
    });
  }

  #isInRange(region: number | undefined, offset: number, sizeBytes: number): boolean {
    return (this.#selection.ranges ?? []).some(
      (range) => range.region === region && offset <= range.to && range.from < offset + sizeBytes,
    );
  }
}

/** What `channels` matches: the part of the card whose event it is. */
const partOf = (event: TraceEvent): string | undefined =>
  'channel' in event ? event.channel : 'part' in event ? event.part : undefined;
