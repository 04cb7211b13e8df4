/**
 * How much of a card's register map its driver has used, and what it has accessed that is not in the map: a register
 * that is not modelled yet, or a driver that has gone wrong.
 */
import { isWritable } from '../../emulator/registers/access';
import { type AccessEvent, type NamedRegister, Region, type TraceEvent, valueOf } from '../trace';
import { type TraceCard, TraceCards } from './card-names';

/** Which registers of the cards in a trace were accessed. */
export interface Coverage {
  readonly cards: readonly CardCoverage[];
}

/** Of one card. */
export interface CardCoverage {
  readonly card: number;
  readonly name: string;
  /** The registers of the card's author in its BARs, used or not, by BAR and offset. */
  readonly registers: readonly RegisterUse[];
  /** How many of them were accessed at all. */
  readonly touched: number;
  /** Accesses of BARs where neither registers nor memory are, by BAR and offset. */
  readonly unmodelled: readonly UnmodelledUse[];
  /** The same for configuration space, most of which enumeration reads. */
  readonly unmodelledConfig: readonly UnmodelledUse[];
}

/** How much of a register was used. */
export interface RegisterUse {
  readonly name: string;
  readonly region: number;
  readonly offset: number;
  readonly reads: number;
  readonly writes: number;
  /** A write can change some of its bits. */
  readonly isWritable: boolean;
  /** The names of fields that never had another value on the bus than after a reset. */
  readonly unchangedFields: readonly string[];
}

/** Accesses of one size at one address. */
export interface UnmodelledUse {
  readonly region: number;
  readonly offset: number;
  readonly sizeBytes: number;
  readonly reads: number;
  readonly writes: number;
}

/** Which registers and bits of the cards in a trace were accessed, and which never. */
export function coverageOf(trace: { readonly events: Iterable<TraceEvent> }): Coverage {
  const counter = new CoverageCounter();
  for (const event of trace.events) counter.take(event);
  return counter.result();
}

/** The same event by event, for a trace that is not in memory. */
export class CoverageCounter {
  readonly #cards = new TraceCards();
  readonly #counts = new Map<number, CardCounts>();

  take(event: TraceEvent): void {
    this.#cards.note(event);
    if (event.kind === 'card') this.#counts.set(event.card, new CardCounts(this.#cards.get(event.card)!));
    else if (event.kind === 'read' || event.kind === 'write') this.#counts.get(event.card)?.take(event, this.#cards);
  }

  result(): Coverage {
    return { cards: [...this.#counts].map(([id, counts]) => counts.result(id, this.#cards.nameOf(id))) };
  }
}

interface Counts {
  reads: number;
  writes: number;
}

class CardCounts {
  readonly #uses = new Map<NamedRegister, Counts & { differed: bigint }>();
  readonly #unmodelled = new Map<string, Counts & { region: number; offset: number; sizeBytes: number }>();

  constructor({ names }: TraceCard) {
    for (const register of names.all) this.#uses.set(register, { reads: 0, writes: 0, differed: 0n });
  }

  take(event: AccessEvent, cards: TraceCards): void {
    const { card, region, offset, data, kind } = event;
    const touched = cards.names(card).touched(region, offset, data.length);
    for (const register of touched) {
      const use = this.#uses.get(register)!;
      count(use, kind);
      if (register.layout.fields.length > 0) use.differed |= differenceFromReset(register, offset, data);
    }
    if (touched.length > 0 || cards.memoryAt(card, region, offset)) return;
    const key = `${region} ${offset} ${data.length}`;
    let use = this.#unmodelled.get(key);
    if (!use) this.#unmodelled.set(key, (use = { region, offset, sizeBytes: data.length, reads: 0, writes: 0 }));
    count(use, kind);
  }

  result(card: number, name: string): CardCoverage {
    const registers = [...this.#uses]
      .filter(([{ region, structure }]) => region !== Region.CONFIG && structure === '')
      .map(([register, use]) => useOf(register, use));
    const unmodelled = [...this.#unmodelled.values()].sort(
      (a, b) => a.region - b.region || a.offset - b.offset || a.sizeBytes - b.sizeBytes,
    );
    return {
      card,
      name,
      registers: registers.sort((a, b) => a.region - b.region || a.offset - b.offset),
      touched: registers.filter(({ reads, writes }) => reads + writes > 0).length,
      unmodelled: unmodelled.filter(({ region }) => region !== Region.CONFIG),
      unmodelledConfig: unmodelled.filter(({ region }) => region === Region.CONFIG),
    };
  }
}

function count(use: Counts, kind: AccessEvent['kind']): void {
  if (kind === 'read') use.reads++;
  else use.writes++;
}

/** The bits of the register that the access transferred and that differ from their value after a reset. */
function differenceFromReset({ offset: start, layout }: NamedRegister, offset: number, data: Uint8Array): bigint {
  const from = Math.max(start, offset);
  const to = Math.min(start + layout.width / 8, offset + data.length);
  const shift = BigInt((from - start) * 8);
  const mask = ((1n << BigInt((to - from) * 8)) - 1n) << shift;
  return ((valueOf(data.subarray(from - offset, to - offset)) << shift) ^ layout.reset) & mask;
}

function useOf({ name, region, offset, layout }: NamedRegister, use: Counts & { differed: bigint }): RegisterUse {
  const { reads, writes, differed } = use;
  const unchangedFields = layout.fields
    .filter(({ lsb, width }) => ((differed >> BigInt(lsb)) & ((1n << BigInt(width)) - 1n)) === 0n)
    .map((field) => field.name);
  const canChange = [layout, ...layout.fields].some(({ access }) => isWritable(access));
  return { name, region, offset, reads, writes, isWritable: canChange, unchangedFields };
}
