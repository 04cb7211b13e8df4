/** Which events a fault is for: those that fit are counted, and of them it takes the chosen ones. */
import { type CardClock } from '../../emulator/clock';
import { type DmaInitiator, type DmaRole } from '../../emulator/memory';
import { BAR_COUNT, type PciCard } from '../../emulator/pci';
import { type NamedRegister, RegisterNames } from '../trace';
import { type AccessMatch, type DmaMatch, type InterruptMatch, type Occurrence, type Range } from './parameters';
import { addressOf } from './address';
import { registersNamed } from './registers';

type Counting = Pick<InterruptMatch, 'occurrence' | 'timeNs'>;

export abstract class Matcher {
  /** Events of this sort, and those of them that fitted. */
  #seen = 0;
  #fitted = 0;
  readonly #occurrence: Occurrence;
  readonly #timeNs: Range | undefined;

  constructor(
    private readonly clock: Pick<CardClock, 'now'>,
    { occurrence = 1, timeNs }: Counting,
    /** The sort of events, and those that fit: 'interrupts', 'interrupts of vector 0'. */
    private readonly sort: string,
    private readonly fitting: string,
  ) {
    this.#occurrence = occurrence;
    this.#timeNs = timeNs;
  }

  /** Whether the next event that fits would be taken. */
  get isNext(): boolean {
    return isWithin(this.#timeNs, this.clock.now()) && isChosen(this.#occurrence, this.#fitted + 1);
  }

  /** What is waited for, and how much of it has come. */
  describe(): string {
    const when = this.#timeNs ? ` at device times ${rangeInWords(this.#timeNs, String)} ns` : '';
    const all = `${this.#seen} ${this.sort}`;
    return `${occurrenceInWords(this.#occurrence)} of ${this.fitting}${when}; ${this.#fitted} of ${all} fitted`;
  }

  protected count(fits: boolean): boolean {
    this.#seen++;
    if (!fits || !isWithin(this.#timeNs, this.clock.now())) return false;
    return isChosen(this.#occurrence, ++this.#fitted);
  }
}

export class InterruptMatcher extends Matcher {
  readonly #vector: number | undefined;

  constructor({ inspection }: PciCard, match: InterruptMatch) {
    const { vector } = match;
    super(
      inspection.clock,
      match,
      'interrupts',
      vector === undefined ? 'interrupts' : `interrupts of vector ${vector}`,
    );
    this.#vector = vector;
  }

  takes(vector: number): boolean {
    return this.count(this.#vector === undefined || this.#vector === vector);
  }
}

export class DmaMatcher extends Matcher {
  readonly #match: DmaMatch;
  readonly #from: number;
  readonly #to: number;
  readonly #longerThan: number;

  /** `longerThan`: shorter accesses do not fit. */
  constructor({ inspection }: PciCard, match: DmaMatch, longerThan = 0) {
    const { channel, role, access, iova } = match;
    const words = [
      access === undefined ? 'DMA accesses' : `DMA ${access}s`,
      role === undefined ? [] : `of role ${role}`,
      channel === undefined ? [] : `by ${channel}`,
      iova === undefined ? [] : `at ${rangeInWords(iova, (address) => hex(addressOf(address)))}`,
      longerThan > 0 ? `of more than ${longerThan} bytes` : [],
    ];
    super(inspection.clock, match, 'DMA accesses', words.flat().join(' '));
    this.#match = match;
    this.#from = addressOf(iova?.from ?? 0);
    this.#to = addressOf(iova?.to ?? Infinity);
    this.#longerThan = longerThan;
  }

  takes(access: 'read' | 'write', by: DmaInitiator, iova: number, sizeBytes: number): boolean {
    const fits =
      isOneOf(this.#match.access, access) &&
      isOneOf<DmaRole>(this.#match.role, by.role) &&
      isOneOf(this.#match.channel, by.channel) &&
      iova + sizeBytes > this.#from &&
      iova <= this.#to &&
      sizeBytes > this.#longerThan;
    return this.count(fits);
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

  /** `access`: what is counted, for people: reads, writes or both. */
  constructor(card: PciCard, match: AccessMatch, access: 'reads' | 'writes' | 'accesses') {
    const { register, bar, offset } = match;
    const preposition = access === 'writes' ? 'to' : 'of';
    const where =
      register ?? (bar === undefined ? 'any BAR' : `BAR${bar}${offset ? ` at ${offsetsInWords(offset)}` : ''}`);
    super(card.inspection.clock, match, `${access} ${preposition} the card`, `${access} ${preposition} ${where}`);
    if (register !== undefined) this.#places = registersNamed(RegisterNames.of(card), register).map(placeOf);
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

const isOneOf = <T>(wanted: T | undefined, is: T): boolean => wanted === undefined || wanted === is;

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
