/** Where an event is shown: in which lane, and at which registers. */
import { type TraceCards } from '../analysis/card-names';
import { type AccessEvent, type NamedRegister, Region, regionName, type TraceEvent, wordInterrupt } from '../trace';
import { type LaneHead, type RegisterHead } from './page/report';

/** From top to bottom, in the order in which a reader follows a transfer: driver, card, host. */
const GROUPS = ['marks', 'problems', 'registers', 'tasks', 'dma', 'interrupts', 'states', 'config', 'client'];

export class Lanes {
  readonly heads: readonly LaneHead[];
  readonly #numbers: ReadonlyMap<string, number>;

  constructor(events: readonly TraceEvent[], cards: TraceCards) {
    const byKey = new Map<string, LaneHead>();
    for (const event of events) {
      const lane = laneOf(event);
      if (!byKey.has(keyOf(lane))) byKey.set(keyOf(lane), lane);
    }
    const order = [0, ...cards.all.map(({ id }) => id)];
    const sorted = [...byKey.values()].sort(
      (a, b) =>
        order.indexOf(a.card) - order.indexOf(b.card) ||
        GROUPS.indexOf(a.group) - GROUPS.indexOf(b.group) ||
        (a.region ?? 0) - (b.region ?? 0) ||
        // Vectors in the order of their numbers; anything else in the order in which it comes.
        (a.group === 'interrupts' ? a.label.localeCompare(b.label, 'en', { numeric: true }) : 0),
    );
    this.heads = sorted;
    this.#numbers = new Map(sorted.map((lane, number) => [keyOf(lane), number]));
  }

  of(event: TraceEvent): number {
    return this.#numbers.get(keyOf(laneOf(event)))!;
  }
}

const keyOf = ({ card, group, label }: LaneHead): string => `${card} ${group} ${label}`;

function laneOf(event: TraceEvent): LaneHead {
  const { card } = event;
  switch (event.kind) {
    case 'read':
    case 'write': {
      const { region } = event;
      if (region === Region.CONFIG) return { card, group: 'config', label: 'config', region };
      return { card, group: 'registers', label: regionName(region), region };
    }
    case 'dma-read':
    case 'dma-write':
      return { card, group: 'dma', label: event.channel === '' ? 'DMA' : `DMA ${event.channel}` };
    case 'interrupt':
      return { card, group: 'interrupts', label: wordInterrupt(event.index, event.vector) };
    case 'state':
      return { card, group: 'states', label: event.part };
    case 'task':
      return { card, group: 'tasks', label: 'scheduled work' };
    case 'fault':
    case 'notice':
      return { card, group: 'problems', label: 'faults, notices' };
    case 'mark':
    case 'end':
      return { card: 0, group: 'marks', label: 'marks' };
    default:
      return { card, group: 'client', label: 'host' };
  }
}

/** The registers of all cards under one numbering. */
export class RegisterTable {
  readonly heads: readonly RegisterHead[];
  readonly #numbers: ReadonlyMap<NamedRegister, number>;

  constructor(private readonly cards: TraceCards) {
    const all = cards.all.flatMap(({ id, names }) => names.all.map((register) => ({ card: id, register })));
    this.heads = all.map(({ card, register }) => headOf(card, register));
    this.#numbers = new Map(all.map(({ register }, number) => [register, number]));
  }

  touchedBy({ card, region, offset, data }: AccessEvent): number[] {
    const touched = this.cards.names(card).touched(region, offset, data.length);
    return touched.map((register) => this.#numbers.get(register)!);
  }
}

function headOf(card: number, { region, offset, name, layout }: NamedRegister): RegisterHead {
  const { width, access, reset, doc, fields } = layout;
  return {
    ...{ card, region, offset, name, width, access, doc },
    reset: reset.toString(16),
    fields: fields.map(({ name, msb, lsb, access, doc, values }) => ({ name, msb, lsb, access, doc, values })),
  };
}
