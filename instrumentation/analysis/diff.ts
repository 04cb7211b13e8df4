/**
 * Where two runs first differ. What the driver does and what the card does are compared separately, each in its order:
 * how they interleave is a matter of timing, and so is how often a driver polls. With `strict`, everything but the
 * times is compared.
 */
import { type AccessEvent, actorOf, type DmaEvent, Region, type TraceEvent } from '../trace';
import { TraceCards } from './card-names';
import { UnknownNameError } from '../../emulator/registers/name-pattern';
import { RegisterPattern } from './register-pattern';
import { RepeatFolder } from './repeats';
import { linesOf, SameMemory } from './same-memory';
import { describeWithoutTime } from './words';

/** What of two traces is compared. */
export interface DiffOptions {
  /** Compare one sequence of all events, with each poll, task and mapping, and host memory at the same addresses. */
  readonly strict?: boolean;
  /** Do not compare the bytes of payload; descriptors and write-backs are compared. */
  readonly ignoreData?: boolean;
  /** Do not compare addresses of host memory: of DMA, and where they stand in registers and descriptors. */
  readonly ignoreAddresses?: boolean;
  /** Accesses of these registers are not compared: patterns, such as `UPTIME_NS`. */
  readonly ignoreRegisters?: readonly string[];
  /** Leave out accesses of configuration space. */
  readonly withoutConfig?: boolean;
}

/** The first difference of two traces. */
export interface TraceDiff {
  /** The first event that differs, by its place in A; undefined when the runs are the same. */
  readonly difference?: {
    /** What was compared: what the driver did, what the card did, or all with `strict`. */
    readonly lane: 'driver' | 'card' | 'all';
    /** Indexes in the events of A and B; the number of events for a run that has ended. */
    readonly atA: number;
    readonly atB: number;
    /** The two events differ in addresses of host memory only. */
    readonly isOfAddresses?: true;
  };
  /** How many events were compared and are the same: of the lane that differs, or of all. */
  readonly same: number;
  /** Host memory that is taken for the same, at different addresses. */
  readonly renamed: readonly { readonly a: number; readonly b: number }[];
  /** How many polls of A and of B were left out. */
  readonly polls: readonly [number, number];
  /** Whether both recorded DMA payloads in the same way; otherwise, bytes of DMA are not compared. */
  readonly hasPayloads: boolean;
}

export type Difference = NonNullable<TraceDiff['difference']>;
export type DiffLane = Difference['lane'];

/** @throws UnknownNameError when `ignoreRegisters` has a pattern that means no register of either */
export function diffTraces(
  { events: a }: { readonly events: readonly TraceEvent[] },
  { events: b }: { readonly events: readonly TraceEvent[] },
  options: DiffOptions = {},
): TraceDiff {
  const sides = [new Side(a, options), new Side(b, options)] as const;
  for (let i = 0; i < sides[0].ignored.length; i++) {
    const [inA, inB] = sides.map(({ cards, ignored }) => ignored[i]!.unknownIn(cards));
    if (inA !== undefined && inB !== undefined) throw new UnknownNameError(inA);
  }
  const lines = [linesOf(a), linesOf(b)] as const;
  const hasPayloads = payloadsOf(a) === payloadsOf(b);
  const apartFromAddresses = new Comparison(new SameMemory(...lines, true), sides, options, hasPayloads);
  const memory = new SameMemory(...lines);
  const comparison = options.ignoreAddresses ? apartFromAddresses : new Comparison(memory, sides, options, hasPayloads);
  const found: { difference: Difference; same: number }[] = [];
  let same = 0;
  // The card first: it accesses the memory whose addresses the driver writes.
  for (const lane of options.strict ? (['all'] as const) : (['card', 'driver'] as const)) {
    const [inA, inB] = sides.map((side) => side.lane(lane)) as [Placed[], Placed[]];
    const length = Math.max(inA.length, inB.length);
    let i = 0;
    while (i < length && comparison.areSame(inA[i]?.event, inB[i]?.event)) i++;
    same += i;
    if (i === length) continue;
    const isOfAddresses = apartFromAddresses.areSame(inA[i]?.event, inB[i]?.event);
    const difference = { lane, atA: inA[i]?.at ?? a.length, atB: inB[i]?.at ?? b.length };
    found.push({ difference: { ...difference, ...(isOfAddresses && { isOfAddresses }) }, same: i });
  }
  const [first] = found.sort(
    ({ difference: one }, { difference: other }) => one.atA - other.atA || one.atB - other.atB,
  );
  const polls = [sides[0].polls, sides[1].polls] as const;
  return { ...(first ?? { same }), renamed: memory.renamed, polls, hasPayloads };
}

/** How payloads were recorded, as far as the events show. */
function payloadsOf(events: readonly TraceEvent[]): string | undefined {
  const dma = events.find((event): event is DmaEvent => 'channel' in event && event.error === undefined);
  return dma && (dma.data ? 'full' : dma.hash !== undefined ? 'hash' : 'none');
}

/** An event and its index in the trace. */
interface Placed {
  readonly event: TraceEvent;
  readonly at: number;
}

class Side {
  readonly cards: TraceCards;
  polls = 0;
  readonly ignored: readonly RegisterPattern[];

  constructor(
    private readonly events: readonly TraceEvent[],
    private readonly options: DiffOptions,
  ) {
    this.cards = TraceCards.of(events);
    this.ignored = (options.ignoreRegisters ?? []).map((text) => new RegisterPattern(text));
  }

  /** The events of this lane that are compared, in order. */
  lane(lane: DiffLane): Placed[] {
    const placed = this.events.flatMap((event, at) => (this.#isCompared(event, lane) ? [{ event, at }] : []));
    return lane === 'driver' ? this.#withoutPolls(placed) : placed;
  }

  #isCompared(event: TraceEvent, lane: DiffLane): boolean {
    if (event.kind === 'read' || event.kind === 'write') {
      if (this.options.withoutConfig && event.region === Region.CONFIG) return false;
      if (this.ignored.length > 0 && this.#isIgnored(event)) return false;
    }
    if (lane === 'all') return event.kind !== 'end';
    if (event.kind === 'mark' && event.from === 'command') return false; // the kernel goes on meanwhile
    return actorOf(event) === lane;
  }

  #isIgnored({ card, region, offset, data }: AccessEvent): boolean {
    const touched = this.cards.names(card).touched(region, offset, data.length);
    return touched.some((register) => this.ignored.some((pattern) => pattern.matches(register, undefined)));
  }

  /** Leaves out reads that only repeat those before them: one register or a few in turn, with the same values. */
  #withoutPolls(placed: readonly Placed[]): Placed[] {
    const kept: Placed[] = [];
    const folder = new RepeatFolder<Placed>({
      item: (one) => kept.push(one),
      repeated: (length, times) => (this.polls += length * times),
    });
    for (const one of placed) {
      if (one.event.kind === 'read') {
        folder.take(one, describeWithoutTime(one.event, this.cards));
      } else {
        folder.interrupt();
        kept.push(one);
      }
    }
    folder.end();
    return kept;
  }
}

class Comparison {
  constructor(
    private readonly memory: SameMemory,
    private readonly sides: readonly [Side, Side],
    private readonly options: DiffOptions,
    private readonly hasPayloads: boolean,
  ) {}

  areSame(a: TraceEvent | undefined, b: TraceEvent | undefined): boolean {
    if (a === undefined || b === undefined || a.kind !== b.kind || a.card !== b.card) return false;
    switch (a.kind) {
      case 'read':
      case 'write':
        return this.#areSameAccesses(a, b as AccessEvent);
      case 'dma-read':
      case 'dma-write':
        return this.#areSameDma(a, b as DmaEvent);
      case 'card':
        return a.description.model === (b as typeof a).description.model;
      default:
        return describeWithoutTime(a, this.sides[0].cards) === describeWithoutTime(b, this.sides[1].cards);
    }
  }

  #areSameAccesses(a: AccessEvent, b: AccessEvent): boolean {
    return a.region === b.region && a.offset === b.offset && this.#areSameBytes(a.data, b.data);
  }

  #areSameDma(a: DmaEvent, b: DmaEvent): boolean {
    const isSameAccess =
      a.channel === b.channel && a.role === b.role && a.sizeBytes === b.sizeBytes && a.error === b.error;
    if (!isSameAccess || !this.#isSamePlace(a.iova, b.iova)) return false;
    if (!this.hasPayloads || (this.options.ignoreData && a.role === 'data')) return true;
    return a.data && b.data ? this.#areSameBytes(a.data, b.data) : a.hash === b.hash;
  }

  #isSamePlace(a: number, b: number): boolean {
    return this.options.strict && !this.memory.ignoresAddresses ? a === b : this.memory.isSame(a, b);
  }

  #areSameBytes(a: Uint8Array, b: Uint8Array): boolean {
    const isExact = this.options.strict && !this.memory.ignoresAddresses;
    return isExact ? Buffer.compare(a, b) === 0 : this.memory.isSameData(a, b);
  }
}
