/** The state of the page, and who is notified when it changes. */
import { type AxisName, firstFrom, type Lane, type TraceModel } from './model';
import { type CardHead, INKS, type Ink } from './report';
import { find } from './search';
import { type View, Viewport } from './viewport';

/** What of the page has changed. */
export type Change = 'view' | 'selection' | 'filter' | 'axis' | 'hits' | 'lanes' | 'theme' | 'range';

const MOST_REGISTER_LANES_AT_FIRST = 5;

export class App {
  readonly viewport: Viewport;
  axis: AxisName = 'device';
  /** Event, or -1. */
  selected = -1;
  /** Register shown in detail, or -1: the selected event is. */
  register = -1;
  /** A stretch of the axis that the reader measures. */
  range: View | undefined;
  readonly hiddenInks = new Set<Ink>();
  readonly hiddenLanes = new Set<string>();
  readonly shownRegisters = new Set<number>();
  /** Cards of which only the heading is shown. */
  readonly foldedCards = new Set<number>();
  query = '';
  hits: Uint32Array = new Uint32Array();
  /** Events that the filter lets through. */
  listed: Uint32Array = new Uint32Array();
  #lanes: readonly Lane[] = [];
  readonly #listeners: ((changes: ReadonlySet<Change>) => void)[] = [];
  readonly #changes = new Set<Change>();

  constructor(readonly model: TraceModel) {
    this.viewport = new Viewport(this.#extent());
    const busiest = model.uses
      .map(({ events }, register) => ({ register, count: events.length }))
      .filter(({ register, count }) => count > 1 && model.head.registers[register]!.region < 6)
      .sort((a, b) => b.count - a.count);
    for (const { register } of busiest.slice(0, MOST_REGISTER_LANES_AT_FIRST)) this.shownRegisters.add(register);
    this.#applyFilter();
    this.#arrangeLanes();
  }

  get positions(): Float64Array {
    return this.model.positions[this.axis];
  }

  /** From top to bottom, those that are shown. */
  get lanes(): readonly Lane[] {
    return this.#lanes;
  }

  /** Told once for all that changes in one turn, before the next picture. */
  onChange(listener: (changes: ReadonlySet<Change>) => void): void {
    this.#listeners.push(listener);
  }

  changed(...changes: readonly Change[]): void {
    if (this.#changes.size === 0) requestAnimationFrame(() => this.#tell());
    for (const change of changes) this.#changes.add(change);
  }

  select(event: number, { reveal = false } = {}): void {
    this.selected = event;
    this.register = -1;
    if (reveal && event >= 0) this.reveal(event);
    this.changed('selection');
  }

  showRegister(register: number): void {
    this.register = register;
    this.changed('selection');
  }

  /** Moves the view as little as needed for the event to be in it. */
  reveal(event: number): void {
    if (this.viewport.reveal(this.positions[event]!)) this.changed('view');
  }

  setAxis(axis: AxisName): void {
    if (axis === this.axis) return;
    const before = this.#seen();
    this.axis = axis;
    this.range = undefined;
    this.viewport.reset(this.#extent());
    // The same events stay in view.
    if (before) this.viewport.show(this.positions[before.first]!, this.positions[before.last]!);
    this.changed('axis', 'view', 'range');
  }

  setQuery(query: string): void {
    this.query = query;
    this.hits = find(this.model, query, this.listed);
    this.changed('hits');
  }

  /** To the next hit from what is selected or in view, or to the one before. */
  jump(direction: 1 | -1): void {
    const { hits, selected } = this;
    if (hits.length === 0) return;
    let at: number;
    if (selected >= 0) {
      const next = firstAfter(hits, direction === 1 ? selected + 1 : selected);
      at = direction === 1 ? next : next - 1;
    } else {
      at = direction === 1 ? firstFrom(hits, this.positions, this.viewport.view.from) : hits.length - 1;
    }
    this.select(hits[(at + hits.length) % hits.length]!, { reveal: true });
  }

  /** To the event before or after the selected one, among those listed. */
  step(by: number): void {
    const { listed, selected } = this;
    if (listed.length === 0) return;
    const at = firstAfter(listed, selected);
    const isListed = listed[at] === selected;
    const to = selected < 0 ? this.firstInView() : at + by - (isListed || by < 0 ? 0 : 1);
    this.select(listed[Math.max(0, Math.min(listed.length - 1, to))]!, { reveal: true });
  }

  /** Among those listed. */
  firstInView(): number {
    const at = firstFrom(this.listed, this.positions, this.viewport.view.from);
    return Math.min(at, this.listed.length - 1);
  }

  toggleInk(ink: Ink, only = false): void {
    if (only) {
      const isOnly = this.hiddenInks.size === INKS.length - 1 && !this.hiddenInks.has(ink);
      this.hiddenInks.clear();
      if (!isOnly) for (const other of INKS) if (other !== ink) this.hiddenInks.add(other);
    } else if (!this.hiddenInks.delete(ink)) {
      this.hiddenInks.add(ink);
    }
    this.#refilter();
  }

  hideLane(key: string): void {
    this.hiddenLanes.add(key);
    this.#refilter();
  }

  showAll(): void {
    this.hiddenLanes.clear();
    this.hiddenInks.clear();
    this.#refilter();
  }

  toggleRegister(register: number): void {
    if (!this.shownRegisters.delete(register)) this.shownRegisters.add(register);
    this.#arrangeLanes();
    this.changed('lanes');
  }

  toggleCard(card: number): void {
    if (!this.foldedCards.delete(card)) this.foldedCards.add(card);
    this.#arrangeLanes();
    this.changed('lanes');
  }

  #refilter(): void {
    this.#applyFilter();
    this.#arrangeLanes();
    this.hits = find(this.model, this.query, this.listed);
    this.changed('filter', 'lanes', 'hits');
  }

  #applyFilter(): void {
    const { columns, count, lanes } = this.model;
    const hiddenInk = INKS.map((ink) => this.hiddenInks.has(ink));
    const hiddenLane = lanes.map(({ key }) => this.hiddenLanes.has(key));
    const listed = new Uint32Array(count);
    let length = 0;
    for (let i = 0; i < count; i++) {
      if (!hiddenInk[columns.ink[i]!] && !hiddenLane[columns.lane[i]!]) listed[length++] = i;
    }
    this.listed = listed.subarray(0, length);
  }

  #arrangeLanes(): void {
    const { model, hiddenInks, hiddenLanes, shownRegisters } = this;
    const registers = [...shownRegisters].sort((a, b) => a - b).map((register) => model.registerLane(register));
    const lanes = model.lanes
      .flatMap((lane) => [lane, ...registers.filter(({ head }) => belongsTo(head, lane))])
      .filter(({ key }) => !hiddenLanes.has(key))
      .map((lane) => ({
        ...lane,
        rows: lane.rows.filter(({ ink }) => lane.style === 'values' || !hiddenInks.has(ink)),
      }))
      .filter(({ rows }) => rows.length > 0);
    this.#lanes = model.head.cards.length > 1 ? this.#withHeadings(lanes) : lanes;
  }

  /** With several cards, the lanes of each have a heading. */
  #withHeadings(lanes: readonly Lane[]): Lane[] {
    const of = (card: number): Lane[] => lanes.filter(({ head }) => head.card === card);
    const heading = ({ id, name }: CardHead): Lane => ({
      key: `card ${id}`,
      head: { card: id, group: 'client', label: name },
      style: 'heading',
      rows: [],
    });
    return [
      ...of(0),
      ...this.model.head.cards.flatMap((card) => [
        heading(card),
        ...(this.foldedCards.has(card.id) ? [] : of(card.id)),
      ]),
    ];
  }

  /**
   * All there is on the axis, with a little room. Where a card was made does not count: what happened to it may come
   * long after, above all where a ring has lost the beginning.
   */
  #extent(): View {
    const { positions } = this;
    let [from, to] = [Infinity, -Infinity];
    for (const [event, position] of positions.entries()) {
      if (this.model.kindOf(event) === 'card') continue;
      if (position < from) from = position;
      if (position > to) to = position;
    }
    if (from > to) [from, to] = [0, 1];
    // On the right for the words of what comes last.
    const room = Math.max((to - from) * 0.01, 1);
    return { from: from - room, to: to + 4 * room };
  }

  /** The first and the last event in view; undefined when all are. */
  #seen(): { first: number; last: number } | undefined {
    if (this.viewport.isWhole) return undefined;
    const { positions } = this;
    const { from, to } = this.viewport.view;
    let [first, last] = [-1, -1];
    for (let i = 0; i < positions.length; i++) {
      if (positions[i]! < from || positions[i]! > to) continue;
      if (first < 0) first = i;
      last = i;
    }
    return first < 0 ? undefined : { first, last };
  }

  #tell(): void {
    const changes = new Set(this.#changes);
    this.#changes.clear();
    for (const listener of this.#listeners) listener(changes);
  }
}

const belongsTo = (register: Lane['head'], { head }: Lane): boolean =>
  head.region !== undefined && head.card === register.card && head.region === register.region;

/** Index of the first of rising `events` that is `event` or a later one. */
export function firstAfter(events: Uint32Array, event: number): number {
  let low = 0;
  let high = events.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (events[middle]! < event) low = middle + 1;
    else high = middle;
  }
  return low;
}
