/** The trace as the page asks for it: lanes with their events, registers with their accesses, causes with their effects. */
import { type Columns, INKS, type Ink, type LaneHead, type Report, type ReportHead } from './report';

/** What the horizontal axis shows: time on the card, time on the host, or the order of events, each as wide as the next. */
export const AXES = ['device', 'host', 'order'] as const;
export type AxisName = (typeof AXES)[number];

/** Events of a lane that are drawn in one line of it. */
export interface Row {
  readonly label: string;
  readonly ink: Ink;
  readonly heightPx: number;
  /** In the order of time, on every axis. */
  readonly events: Uint32Array;
  /** The event that ends what began with an event; -1: it takes no time; -2: it has not ended. */
  readonly ends?: Int32Array;
}

export type LaneStyle = 'heading' | 'marks' | 'points' | 'sizes' | 'states' | 'values';

export interface Lane {
  /** Names it for good: also while it is hidden. */
  readonly key: string;
  readonly head: LaneHead;
  readonly style: LaneStyle;
  readonly rows: readonly Row[];
  /** The register whose values it shows. */
  readonly register?: number;
}

export interface RegisterUse {
  readonly reads: number;
  readonly writes: number;
  readonly events: Uint32Array;
}

export class TraceModel {
  readonly head: ReportHead;
  readonly columns: Columns;
  readonly count: number;
  readonly lanes: readonly Lane[];
  readonly positions: Readonly<Record<AxisName, Float64Array>>;
  /** By register. */
  readonly uses: readonly RegisterUse[];
  /** Of the largest DMA access. */
  readonly mostBytes: number;
  readonly #effects: { readonly starts: Uint32Array; readonly events: Uint32Array };
  readonly #lowered: Uint8Array;
  readonly #abouts = new Map<number, number[]>();

  constructor({ head, columns }: Report) {
    this.head = head;
    this.columns = columns;
    this.count = head.eventCount;
    this.#lowered = Uint8Array.from(head.strings, (text) => (text === 'interrupt lowered' ? 1 : 0));
    const order = Float64Array.from({ length: this.count }, (_, i) => i);
    this.positions = { device: columns.deviceNs, host: columns.hostNs, order };
    this.mostBytes = this.#largestDma();
    this.lanes = this.#makeLanes();
    this.uses = this.#makeUses();
    this.#effects = grouping(columns.cause, this.count);
    const { abouts } = columns;
    for (let i = 0; i < abouts.length; i += 2) {
      this.#noteAbout(abouts[i]!, abouts[i + 1]!);
      this.#noteAbout(abouts[i + 1]!, abouts[i]!);
    }
  }

  kindOf(event: number): string {
    return this.head.kinds[this.columns.kind[event]!]!;
  }

  inkOf(event: number): Ink {
    return INKS[this.columns.ink[event]!]!;
  }

  words(event: number): { what: string; subject: string; detail: string } {
    const { what, subject, detail } = this.columns;
    const { strings } = this.head;
    return { what: strings[what[event]!]!, subject: strings[subject[event]!]!, detail: strings[detail[event]!]! };
  }

  /** Who did it: `driver.c:212 ring_doorbell (driver, process 71)`; '' where it is not known. */
  originOf(event: number): string {
    return this.head.strings[this.columns.origin[event]!]!;
  }

  /** Of a notice, what it is about; of another event, the notices about it. */
  aboutOf(event: number): number[] {
    return this.#abouts.get(event) ?? [];
  }

  /** Whether a notice is about the event. */
  isNoticed(event: number): boolean {
    return this.kindOf(event) !== 'notice' && this.#abouts.has(event);
  }

  /** What happened, as one line. */
  line(event: number): string {
    const { what, subject, detail } = this.words(event);
    return [what, subject, detail].filter((part) => part !== '').join(' ');
  }

  /** The bytes of an access, or of a DMA payload; undefined when they were not recorded. */
  bytesOf(event: number): Uint8Array | undefined {
    const number = this.columns.payload[event]!;
    if (number < 0) return undefined;
    return this.columns.payloads.subarray(this.columns.payloadAt[number], this.columns.payloadAt[number + 1]);
  }

  effectsOf(event: number): Uint32Array {
    const { starts, events } = this.#effects;
    return events.subarray(starts[event], starts[event + 1]);
  }

  cardName(card: number): string {
    return this.head.cards.find(({ id }) => id === card)?.name ?? (card === 0 ? 'the run' : `card ${card}`);
  }

  /** The lane of one register's values. */
  registerLane(register: number): Lane {
    const { card, name, region } = this.head.registers[register]!;
    const { events } = this.uses[register]!;
    return {
      key: `register ${register}`,
      head: { card, group: 'registers', label: name, region },
      style: 'values',
      rows: [{ label: '', ink: 'read', heightPx: 18, events }],
      register,
    };
  }

  #noteAbout(event: number, other: number): void {
    const known = this.#abouts.get(event);
    if (known) known.push(other);
    else this.#abouts.set(event, [other]);
  }

  #largestDma(): number {
    const { kind, sizeBytes } = this.columns;
    const isDma = this.head.kinds.map((name) => name.startsWith('dma-'));
    return sizeBytes.reduce((most, size, i) => (isDma[kind[i]!] ? Math.max(most, size) : most), 4096);
  }

  #makeLanes(): Lane[] {
    const { starts, events } = grouping(Int32Array.from(this.columns.lane), this.head.lanes.length);
    return this.head.lanes.map((head, lane) => {
      const own = events.slice(starts[lane], starts[lane + 1]);
      return { key: `${head.card} ${head.group} ${head.label}`, head, ...this.#rowsOf(head, own) };
    });
  }

  #rowsOf({ group }: LaneHead, own: Uint32Array): Pick<Lane, 'style' | 'rows'> {
    const row = (ink: Ink, heightPx: number, label = ''): Row => {
      const number = INKS.indexOf(ink);
      return { label, ink, heightPx, events: own.filter((event) => this.columns.ink[event] === number) };
    };
    const all = (ink: Ink, heightPx: number): Row => ({ label: '', ink, heightPx, events: own });
    switch (group) {
      case 'marks':
        return { style: 'marks', rows: this.#rowsOfMarks(own) };
      case 'problems':
        return { style: 'marks', rows: nonEmpty([row('fault', 18), row('notice', 18)]) };
      case 'registers':
      case 'config':
        return { style: 'points', rows: [row('read', 13, 'read'), row('write', 13, 'write')] };
      case 'dma': {
        const [descriptor, data] = [row('descriptor', 12, 'descriptor'), row('data', 20, 'data')];
        return {
          style: 'sizes',
          rows: nonEmpty([descriptor, data, row('write-back', 12, 'write-back'), row('other-dma', 16)]),
        };
      }
      case 'interrupts': {
        const [raised, held] = [row('raised', 12, 'raised'), row('held', 12, 'held')];
        const rows = [
          { ...raised, ends: this.#endsOf(own, raised.events, 'raised') },
          { ...held, ends: this.#endsOf(own, held.events, 'held') },
          row('sent', 12, 'sent'),
        ];
        return { style: 'points', rows: nonEmpty(rows) };
      }
      case 'states':
        return { style: 'states', rows: [all('state', 18)] };
      case 'tasks':
        return { style: 'points', rows: [all('task', 12)] };
      case 'client':
        return { style: 'points', rows: [all('client', 14)] };
    }
  }

  /** Those of the user apart from those that commands leave. */
  #rowsOfMarks(own: Uint32Array): Row[] {
    const kindOf = (event: number): string => this.words(event).what.replace(/ mark$/, '');
    const row = (label: string, is: (kind: string) => boolean): Row => {
      return { label, ink: 'mark', heightPx: 18, events: own.filter((event) => is(kindOf(event))) };
    };
    return nonEmpty([
      row('guest', (kind) => kind === 'guest'),
      row('host', (kind) => kind === 'host'),
      row('commands', (kind) => kind !== 'guest' && kind !== 'host'),
    ]);
  }

  /** An asserted line lasts until it is deasserted; a held interrupt, until it is sent or no longer held. */
  #endsOf(lane: Uint32Array, events: Uint32Array, ink: 'raised' | 'held'): Int32Array {
    const following = new Map<number, number>();
    for (let i = 0; i + 1 < lane.length; i++) following.set(lane[i]!, lane[i + 1]!);
    const isLine = ink === 'raised' && lane.some((event) => this.#isLowered(event));
    return Int32Array.from(events, (event) => {
      if (ink === 'held') return following.get(event) ?? -2;
      if (!isLine || this.#isLowered(event)) return -1;
      let end = following.get(event);
      while (end !== undefined && !this.#isLowered(end)) end = following.get(end);
      return end ?? -2;
    });
  }

  #isLowered(event: number): boolean {
    return this.#lowered[this.columns.what[event]!] === 1;
  }

  #makeUses(): RegisterUse[] {
    const { touches } = this.columns;
    const pairs = touches.length / 2;
    const registers = Int32Array.from({ length: pairs }, (_, i) => touches[2 * i + 1]!);
    const { starts, events } = grouping(registers, this.head.registers.length);
    return this.head.registers.map((_, register) => {
      const own = events.slice(starts[register], starts[register + 1]).map((pair) => touches[2 * pair]!);
      const reads = own.reduce((sum, event) => sum + (this.kindOf(event) === 'read' ? 1 : 0), 0);
      return { reads, writes: own.length - reads, events: own };
    });
  }
}

const nonEmpty = (rows: readonly Row[]): Row[] => rows.filter(({ events }) => events.length > 0);

/** The indexes of `keys`, sorted by key: those of key k are `events[starts[k]]` to `events[starts[k + 1]]`. */
function grouping(keys: Int32Array, keyCount: number): { starts: Uint32Array; events: Uint32Array } {
  const starts = new Uint32Array(keyCount + 1);
  for (const key of keys) if (key >= 0) starts[key + 1]!++;
  for (let key = 0; key < keyCount; key++) starts[key + 1]! += starts[key]!;
  const events = new Uint32Array(starts[keyCount]!);
  const next = starts.slice();
  for (let i = 0; i < keys.length; i++) if (keys[i]! >= 0) events[next[keys[i]!]!++] = i;
  return { starts, events };
}

/** The first of `events` whose position is `limit` or later. */
export function firstFrom(events: Uint32Array, positions: Float64Array, limit: number, from = 0): number {
  let low = from;
  let high = events.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (positions[events[middle]!]! < limit) low = middle + 1;
    else high = middle;
  }
  return low;
}
