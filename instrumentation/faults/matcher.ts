/** Selects the events that a fault applies to: those that match its keys are counted, and `occurrence` selects among these. */
import { BAR_COUNT, type CardInspection, type PciCard } from '../../emulator/pci';
import { type ResetKind } from '../../emulator/registers';
import { channelsNamed, type NamedRegister } from '../trace';
import { type DmaCall } from './dma-call';
import {
  type AccessMatch,
  addressOf,
  type DmaMatch,
  type EventCount,
  type InterruptMatch,
  type NthReset,
  type Occurrence,
  type Range,
  type ResetMatch,
} from './parameters';
import { namesOf, registersNamed } from './registers';

export abstract class Matcher {
  /** Events of this sort, and those of them that matched. */
  #seen = 0;
  #matched = 0;
  readonly #occurrence: Occurrence;
  readonly #timeNs: Range | undefined;
  readonly #after: NthReset | undefined;

  constructor(
    private readonly card: Pick<CardInspection, 'now' | 'resets'>,
    { occurrence, timeNs, afterReset }: EventCount,
    /** The sort of events, and those that match: 'interrupts', 'interrupts of vector 0'. */
    private readonly sort: string,
    private readonly matching: string,
  ) {
    this.#occurrence = occurrence;
    this.#timeNs = timeNs;
    this.#after = afterReset;
  }

  /** Whether the next event that matches would be selected. */
  get isNext(): boolean {
    return this.#counts && isChosen(this.#occurrence, this.#matched + 1);
  }

  /** Which events are waited for, and how many have come. */
  describe(): string {
    const when = this.#timeNs ? ` at device times ${rangeInWords(this.#timeNs, String)} ns` : '';
    const all = `${this.#seen} ${this.sort}`;
    const { kind, count = 1 } = this.#after ?? {};
    const after =
      kind === undefined ? '' : ` after reset ${count} of the kind ${kind} (${this.card.resets(kind)} so far)`;
    return `${occurrenceInWords(this.#occurrence)} of ${this.matching}${when}${after}; ${this.#matched} of ${all} matched`;
  }

  protected count(matches: boolean): boolean {
    this.#seen++;
    return matches && this.#counts && isChosen(this.#occurrence, ++this.#matched);
  }

  /** Whether events count now. */
  get #counts(): boolean {
    const after = this.#after;
    if (after !== undefined && this.card.resets(after.kind) < (after.count ?? 1)) return false;
    return isWithin(this.#timeNs, this.card.now());
  }
}

export class ResetMatcher extends Matcher {
  readonly #kind: ResetKind | undefined;

  constructor(card: PciCard, match: ResetMatch) {
    super(card.inspection, match, 'resets', match.reset === undefined ? 'resets' : `resets of the kind ${match.reset}`);
    this.#kind = match.reset;
  }

  takes(kind: ResetKind): boolean {
    return this.count(kind === (this.#kind ?? kind));
  }
}

export class InterruptMatcher extends Matcher {
  readonly #vector: number | undefined;

  constructor(card: PciCard, match: InterruptMatch) {
    const { vector } = match;
    super(card.inspection, match, 'interrupts', vector === undefined ? 'interrupts' : `interrupts of vector ${vector}`);
    this.#vector = vector;
  }

  takes(vector: number): boolean {
    return this.count(vector === (this.#vector ?? vector));
  }
}

export class DmaMatcher extends Matcher {
  readonly #match: DmaMatch;
  /** Undefined: all. */
  readonly #channels: ReadonlySet<string> | undefined;
  readonly #from: number;
  readonly #to: number;
  readonly #longerThan: number;

  /** `longerThan`: shorter accesses do not match. */
  constructor(card: PciCard, match: DmaMatch, longerThan = 0) {
    const { channel, role, access, iova } = match;
    const words = [
      access === undefined ? 'DMA accesses' : `DMA ${access}s`,
      role === undefined ? [] : `of role ${role}`,
      channel === undefined ? [] : `by ${channel}`,
      iova === undefined ? [] : `at ${rangeInWords(iova, (address) => hex(addressOf(address)))}`,
      longerThan > 0 ? `of more than ${longerThan} bytes` : [],
    ];
    super(card.inspection, match, 'DMA accesses', words.flat().join(' '));
    this.#match = match;
    if (channel !== undefined) this.#channels = channelsNamed(card, channel);
    this.#from = addressOf(iova?.from ?? 0);
    this.#to = addressOf(iova?.to ?? Infinity);
    this.#longerThan = longerThan;
  }

  takes({ access, by, iova, bytes }: DmaCall): boolean {
    const match = this.#match;
    return this.count(
      access === (match.access ?? access) &&
        by.role === (match.role ?? by.role) &&
        this.#channels?.has(by.channel) !== false &&
        iova + bytes.length > this.#from &&
        iova <= this.#to &&
        bytes.length > this.#longerThan,
    );
  }
}

interface Place {
  readonly region: number;
  readonly start: number;
  readonly end: number;
}

export class AccessMatcher extends Matcher {
  /** Undefined: any BAR. */
  readonly #places: readonly Place[] | undefined;

  /** `access`: what is counted, in words: reads, writes or both. */
  constructor(card: PciCard, match: AccessMatch, access: 'reads' | 'writes' | 'accesses') {
    const { register, bar, offset } = match;
    const preposition = access === 'writes' ? 'to' : 'of';
    const where =
      register ?? (bar === undefined ? 'any BAR' : `BAR${bar}${offset ? ` at ${offsetsInWords(offset)}` : ''}`);
    super(card.inspection, match, `${access} ${preposition} the card`, `${access} ${preposition} ${where}`);
    if (register !== undefined) this.#places = registersNamed(namesOf(card), register).map(placeOf);
    else if (bar !== undefined) {
      const end = offset?.to === undefined ? Infinity : addressOf(offset.to) + 1;
      this.#places = [{ region: bar, start: addressOf(offset?.from ?? 0), end }];
    }
  }

  takes(region: number, offset: number, sizeBytes: number): boolean {
    return this.count(this.fits(region, offset, sizeBytes));
  }

  fits(region: number, offset: number, sizeBytes: number): boolean {
    if (this.#places === undefined) return region < BAR_COUNT;
    for (const place of this.#places) {
      if (region === place.region && offset < place.end && offset + sizeBytes > place.start) return true;
    }
    return false;
  }
}

const placeOf = ({ region, offset, layout }: NamedRegister): Place => ({
  region,
  start: offset,
  end: offset + layout.width / 8,
});

const isWithin = (range: Range | undefined, value: number): boolean =>
  range === undefined || ((range.from ?? 0) <= value && value <= (range.to ?? Infinity));

function isChosen(occurrence: Occurrence, count: number): boolean {
  if (typeof occurrence === 'number') return count === occurrence;
  if (occurrence === 'all') return true;
  return 'every' in occurrence ? count % occurrence.every === 0 : isWithin(occurrence, count);
}

function occurrenceInWords(occurrence: Occurrence): string {
  if (typeof occurrence === 'number') return `occurrence ${occurrence}`;
  if (occurrence === 'all') return 'any';
  return 'every' in occurrence ? `one in ${occurrence.every}` : `occurrences ${rangeInWords(occurrence, String)}`;
}

const offsetsInWords = (offset: NonNullable<AccessMatch['offset']>): string =>
  rangeInWords(offset, (address) => hex(addressOf(address)));

function rangeInWords<T>({ from, to }: Range<T>, inWords: (value: T) => string): string {
  if (from === undefined) return to === undefined ? 'all there are' : `up to ${inWords(to)}`;
  return to === undefined ? `${inWords(from)} and above` : `${inWords(from)} to ${inWords(to)}`;
}

const hex = (value: number): string => `0x${value.toString(16)}`;
