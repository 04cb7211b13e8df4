/**
 * Replays a recorded run in this process, without a driver: what was done to the card is done again, at the same device
 * times and with the same contents of host memory, and what the card does is compared with what it did then.
 */
import { TraceCards } from '../analysis';
import { SlotLink } from '../faults';
import { type CardEnvironment, type PciCard, privateMemory } from '../../emulator/pci';
import { type CardDescription, printable, readTrace, type Trace, type TraceEvent, traceOf, wordTime } from '../trace';
import { describeCard } from '../trace/card-description';
import { type CardEvents, cardEvents, damageNotes, ReplayError } from './card-events';
import { Comparison } from './comparison';
import { describeDivergence, type Divergence } from './divergence';
import { applyRecordedFaults, otherModel, registerChanges } from './model';
import { OutsideWorld } from './outside';
import { Player } from './player';
import { RecordedMemory } from './recorded-memory';
import { ReplayClock } from './stimuli';

/** Makes the card to be driven, in the environment that it is given. */
export type MakeCard = (environment: Required<CardEnvironment>) => PciCard;

/** Which card of the trace is replayed, and where that ends. */
export interface ReplayOptions {
  /** Which card of the trace: its name or its number. Not needed where there is one. */
  readonly card?: string | number;
  /** Go on after reads that return another value, and list all of them. Default false: stop at the first divergence. */
  readonly allReads?: boolean;
}

/** Whether the card has done what it did then. */
export interface ReplayResult {
  /** The card's number in the trace. */
  readonly id: number;
  /** The card as the trace describes it. */
  readonly card: CardDescription;
  /** Where the card first diverges from the trace; undefined: it did the same to the end. */
  readonly divergence: Divergence | undefined;
  /** All that were found: one at the most, unless `allReads`. */
  readonly divergences: readonly Divergence[];
  /** What the card did and what was done to it, up to the divergence. */
  readonly events: readonly TraceEvent[];
  /** How many events the trace has of the card. */
  readonly total: number;
  /** Device time that has been replayed, in nanoseconds. */
  readonly deviceNs: number;
  /** What else is to be known: another model of card, a trace that was cut off, changed registers. */
  readonly notes: readonly string[];
  /** A divergence in lines, with the events before it. */
  readonly describe: (divergence: Divergence) => string[];
  /** The first divergence in words, or that there is none, and the notes. */
  readonly report: string;
  /** Throws a ReplayDivergenceError with `report` as its message if the card diverges. */
  check(): void;
}

/** A card diverges from its trace. */
export class ReplayDivergenceError extends Error {
  override readonly name = 'ReplayDivergenceError';
}

/**
 * Replays a trace, or the file that holds one, to the card that `make` makes. Throws ReplayError when the trace cannot
 * be replayed, and what `make` throws.
 */
export async function replay(
  trace: Trace | string,
  make: MakeCard,
  options: ReplayOptions = {},
): Promise<ReplayResult> {
  const whole = typeof trace === 'string' ? readTrace(trace) : trace;
  const own = cardEvents(whole, options.card);
  const clock = new ReplayClock();
  const comparison = new Comparison(own.events, {
    payloads: whole.header.payloads,
    largestPayloadBytes: whole.header.largestPayloadBytes,
    allReads: options.allReads ?? false,
    isCutOff: !whole.isEnded,
  });
  const outside = new OutsideWorld();
  const card = outside.watch(() => make({ clock, allocate: privateMemory }));
  try {
    const other = otherModel(own.description, card);
    const trace = traceOf(card);
    trace.record(comparison, { name: own.description.name });
    card.inspection.dma.insertAtMemory((mapped) => new RecordedMemory(mapped, comparison, card.coherence));
    const link = new SlotLink(card);
    applyRecordedFaults(own.description, card, link, other);
    await new Player({ trace, clock, comparison, outside, link }).play();
    if (comparison.at === 0 && comparison.divergences.length === 0) {
      throw new ReplayError(
        'nothing was replayed: the trace ends before the first reaction of the card; record it again',
      );
    }
    const notes = notesOf(whole, own, card, comparison, outside);
    return resultOf(whole, own, comparison, clock, { other, notes });
  } finally {
    card.close();
  }
}

function resultOf(
  trace: Trace,
  { id, description, events }: CardEvents,
  { divergences, at }: Comparison,
  clock: ReplayClock,
  { other, notes: behind }: { other: string | undefined; notes: readonly string[] },
): ReplayResult {
  const [divergence] = divergences;
  const cards = TraceCards.of(trace.events.filter((event) => event.card === id));
  const describe = (which: Divergence) => describeDivergence(which, cards);
  const first = other === undefined ? [] : [other];
  const notes = [...first, ...behind].map(printable);
  const name = printable(description.name);
  const report = [
    ...first.map((note) => `note: ${printable(note)}`),
    divergence
      ? `${name} diverges from the trace at event ${divergence.event} of ${events.length}:`
      : `${name} does what the trace says: ${at} events`,
    ...(divergence ? describe(divergence) : []),
    ...behind.map((note) => `note: ${printable(note)}`),
  ].join('\n');
  return {
    ...{ id, card: description, divergence, divergences, notes, describe, report },
    ...{ events: events.slice(0, at), total: events.length },
    deviceNs: clock.now(),
    check: () => {
      if (divergence) throw new ReplayDivergenceError(report);
    },
  };
}

/** Changes of registers that are listed. */
const SHOWN = 8;

function notesOf(
  trace: Trace,
  { description, events }: CardEvents,
  card: PciCard,
  { divergences }: Comparison,
  { asked }: OutsideWorld,
): string[] {
  const notes = damageNotes(trace);
  if (!trace.isEnded) {
    const lastNs = events.at(-1)?.timeNs ?? 0;
    notes.push(`the trace was cut off; it was replayed as far as it goes, to ${wordTime(lastNs).trim()}`);
  }
  const now = describeCard(card, { name: description.name, isMmapDisabled: false });
  const registers = registerChanges(description.registers, now.registers);
  const more = registers.length > SHOWN ? `; and ${registers.length - SHOWN} more` : '';
  if (registers.length > 0) {
    notes.push(`the card's registers are not those of the trace: ${registers.slice(0, SHOWN).join('; ')}${more}`);
  }
  if (divergences.length === 0) return notes;
  if (asked.size > 0) {
    notes.push(`the card's model calls ${[...asked].join(', ')}, whose answers no trace holds; use this.clock instead`);
  }
  if (description.windows.some(({ isSeen }) => !isSeen)) {
    notes.push(
      'the guest could map memory of the card, and what it did there is not in the trace: record with BAR mappings disabled (--trace-disable-mmap)',
    );
  }
  return notes;
}
