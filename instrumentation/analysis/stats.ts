/** Statistics of a trace: how many events of which kind, rates, times from a doorbell to its interrupt. */
import {
  type AccessEvent,
  CardOutcome,
  type DmaEvent,
  type Finding,
  type InterruptEvent,
  placeOf,
  regionName,
  type TraceEvent,
  type TraceEventKind,
  wordInterrupt,
} from '../trace';
import { TraceCards } from './card-names';
import { UnknownNameError } from '../../emulator/registers/name-pattern';
import { DoorbellAnswers } from './doorbells';
import { RegisterPattern } from './register-pattern';

/** Counts and rates of what happened in a trace, and interrupt latencies. */
export interface TraceStats {
  readonly events: number;
  /** From the beginning of the recording to its last event. */
  readonly hostNs: number;
  /** Most frequent first. */
  readonly kinds: readonly { readonly kind: TraceEvent['kind']; readonly count: number }[];
  readonly cards: readonly CardStats[];
}

/** Of one card. */
export interface CardStats {
  readonly card: number;
  readonly name: string;
  readonly events: number;
  /** Device time from the card's first event to its last. */
  readonly deviceNs: number;
  /** The registers and other places that were accessed, most frequent first. */
  readonly places: readonly { readonly place: string; readonly reads: number; readonly writes: number }[];
  readonly channels: readonly ChannelStats[];
  readonly interrupts: readonly InterruptStats[];
  /** What is left to say of the card at the end: halts, refused DMA, what still runs, interrupts that nobody took. */
  readonly findings: readonly Finding[];
  /** Time from a doorbell to the interrupt that answers it, by channel. */
  readonly latencies: readonly {
    readonly channel: string;
    readonly device: Distribution;
    readonly host: Distribution;
  }[];
}

/** Of one DMA channel. */
export interface ChannelStats {
  /** '' for DMA of no named channel. */
  readonly channel: string;
  readonly reads: Moved;
  readonly writes: Moved;
  /** Device time from its first access to its last. */
  readonly deviceNs: number;
  readonly errors: readonly { readonly reason: string; readonly count: number; readonly firstIova: number }[];
}

/** Accesses of host memory in one direction. */
export interface Moved {
  readonly count: number;
  readonly bytes: number;
  /** Of these, payload: not descriptors or write-backs. */
  readonly dataBytes: number;
}

/** Of one interrupt. */
export interface InterruptStats {
  /** `MSI-X vector 0` */
  readonly interrupt: string;
  readonly raised: number;
  readonly sent: number;
  readonly held: readonly { readonly reason: string; readonly count: number }[];
}

/** How values are distributed, in nanoseconds. */
export interface Distribution {
  readonly count: number;
  readonly min: number;
  readonly median: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

/** What counts as a doorbell. */
export interface StatsOptions {
  /** Which registers are doorbells. Default: those with DOORBELL in their names. */
  readonly doorbells?: string;
}

/** Counts and rates of what happened in a trace, and interrupt latencies. */
export function traceStats(trace: { readonly events: Iterable<TraceEvent> }, options: StatsOptions = {}): TraceStats {
  const counter = new StatsCounter(options);
  for (const event of trace.events) counter.take(event);
  return counter.result();
}

/** The same event by event. */
export class StatsCounter {
  readonly #cards = new TraceCards();
  readonly #answers: DoorbellAnswers;
  readonly #doorbells: RegisterPattern | undefined;
  readonly #kinds = new Map<TraceEventKind, number>();
  readonly #counts = new Map<number, CardCounts>();
  #events = 0;
  #hostNs = 0;

  constructor({ doorbells }: StatsOptions = {}) {
    this.#doorbells = doorbells === undefined ? undefined : new RegisterPattern(doorbells);
    this.#answers = new DoorbellAnswers(this.#cards, doorbells);
  }

  take(event: TraceEvent): void {
    this.#cards.note(event);
    this.#events++;
    this.#hostNs = Math.max(this.#hostNs, event.hostNs);
    add(this.#kinds, event.kind);
    if (event.card === 0) return;
    const counts = entry(this.#counts, event.card, () => new CardCounts());
    counts.take(event, this.#cards);
    const answer = this.#answers.take(event);
    if (!answer) return;
    const { doorbell, interrupt, channel } = answer;
    const latencies = entry(counts.latencies, channel, () => ({ device: [], host: [] }));
    latencies.device.push(interrupt.timeNs - doorbell.timeNs);
    latencies.host.push(interrupt.hostNs - doorbell.hostNs);
  }

  /** @throws UnknownNameError when `doorbells` means no register */
  result(): TraceStats {
    const unknown = this.#doorbells?.unknownIn(this.#cards);
    if (unknown !== undefined) throw new UnknownNameError(unknown);
    return {
      events: this.#events,
      hostNs: this.#hostNs,
      kinds: byCount(this.#kinds).map(([kind, count]) => ({ kind, count })),
      cards: [...this.#counts].map(([id, counts]) => ({ card: id, name: this.#cards.nameOf(id), ...counts.result() })),
    };
  }
}

class CardCounts {
  readonly latencies = new Map<string, { device: number[]; host: number[] }>();
  readonly #places = new Map<string, { reads: number; writes: number }>();
  readonly #channels = new Map<string, ChannelCounts>();
  readonly #interrupts = new Map<string, { raised: number; sent: number; held: Map<string, number> }>();
  readonly #span = new Span();
  readonly #outcome = new CardOutcome();
  #events = 0;

  take(event: TraceEvent, cards: TraceCards): void {
    this.#events++;
    this.#span.take(event.timeNs);
    this.#outcome.take(event);
    switch (event.kind) {
      case 'read':
      case 'write': {
        const place = wordPlace(event, cards);
        entry(this.#places, place, () => ({ reads: 0, writes: 0 }))[event.kind === 'read' ? 'reads' : 'writes']++;
        return;
      }
      case 'dma-read':
      case 'dma-write':
        return entry(this.#channels, event.channel, () => new ChannelCounts()).take(event);
      case 'interrupt':
        return this.#takeInterrupt(event);
    }
  }

  result(): Omit<CardStats, 'card' | 'name'> {
    return {
      events: this.#events,
      deviceNs: this.#span.ns,
      places: [...this.#places]
        .map(([place, counts]) => ({ place, ...counts }))
        .sort((a, b) => b.reads + b.writes - a.reads - a.writes),
      channels: [...this.#channels].map(([channel, counts]) => ({ channel, ...counts.result() })),
      interrupts: [...this.#interrupts].map(([interrupt, { held, ...counts }]) => ({
        interrupt,
        ...counts,
        held: byCount(held).map(([reason, count]) => ({ reason, count })),
      })),
      findings: this.#outcome.findings,
      latencies: [...this.latencies].map(([channel, { device, host }]) => ({
        channel,
        device: distributionOf(device),
        host: distributionOf(host),
      })),
    };
  }

  #takeInterrupt({ phase, index, vector, reason }: InterruptEvent): void {
    const make = () => ({ raised: 0, sent: 0, held: new Map<string, number>() });
    const counts = entry(this.#interrupts, wordInterrupt(index, vector), make);
    if (phase === 'held') add(counts.held, reason ?? 'unknown');
    else if (phase !== 'lowered') counts[phase]++;
  }
}

/** A register, or a memory of the card, which is one place as a whole. */
function wordPlace({ card, region, offset, data }: AccessEvent, cards: TraceCards): string {
  const memory = cards.memoryAt(card, region, offset);
  if (memory === undefined) return placeOf(cards.names(card), region, offset, data.length);
  return `${regionName(region)}${memory.offset === 0 ? '' : ` + 0x${memory.offset.toString(16)}`} (memory)`;
}

class ChannelCounts {
  readonly #moved = {
    'dma-read': { count: 0, bytes: 0, dataBytes: 0 },
    'dma-write': { count: 0, bytes: 0, dataBytes: 0 },
  };
  readonly #errors = new Map<string, { count: number; firstIova: number }>();
  readonly #span = new Span();

  take({ kind, role, iova, sizeBytes, error, timeNs }: DmaEvent): void {
    this.#span.take(timeNs);
    if (error !== undefined) {
      entry(this.#errors, error, () => ({ count: 0, firstIova: iova })).count++;
      return;
    }
    const moved = this.#moved[kind];
    moved.count++;
    moved.bytes += sizeBytes;
    if (role === 'data' || role === 'other') moved.dataBytes += sizeBytes;
  }

  result(): Omit<ChannelStats, 'channel'> {
    return {
      reads: this.#moved['dma-read'],
      writes: this.#moved['dma-write'],
      deviceNs: this.#span.ns,
      errors: [...this.#errors].map(([reason, counts]) => ({ reason, ...counts })),
    };
  }
}

/** From the earliest time to the latest. */
class Span {
  #first = Infinity;
  #last = -Infinity;

  take(timeNs: number): void {
    this.#first = Math.min(this.#first, timeNs);
    this.#last = Math.max(this.#last, timeNs);
  }

  get ns(): number {
    return Math.max(0, this.#last - this.#first);
  }
}

/** Of at least one value; percentiles by the nearest rank. */
export function distributionOf(values: readonly number[]): Distribution {
  const sorted = Float64Array.from(values).sort();
  const rank = (share: number): number => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]!;
  return { count: sorted.length, min: rank(0), median: rank(0.5), p90: rank(0.9), p99: rank(0.99), max: rank(1) };
}

function entry<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) map.set(key, (value = make()));
  return value;
}

const add = <K>(map: Map<K, number>, key: K): void => void map.set(key, (map.get(key) ?? 0) + 1);

const byCount = <K>(map: ReadonlyMap<K, number>): [K, number][] => [...map].sort(([, a], [, b]) => b - a);
