/**
 * The events as a table, in the order in which they happened. Only the rows in sight are elements; however many events
 * there are, the same few dozen rows are filled again.
 */
import { type App, firstAfter } from './app';
import { byId, h } from './dom';
import { count, duration, microseconds } from './format';
import { type TraceModel } from './model';

const ROW_PX = 22;
/** Browsers cannot scroll through more. */
const MOST_HEIGHT_PX = 6_000_000;

interface RowElements {
  readonly row: HTMLElement;
  readonly cells: readonly HTMLElement[];
}

const offsetOf = (model: TraceModel, card: number): number =>
  model.head.cards.find(({ id }) => id === card)?.offsetNs ?? 0;

export class EventTable {
  readonly #scroller = byId('events-scroller');
  readonly #spacer = byId('events-spacer');
  readonly #grid = byId('events');
  readonly #rows: RowElements[] = [];

  constructor(private readonly app: App) {
    new ResizeObserver(() => {
      this.#alignHead();
      this.#draw();
    }).observe(this.#scroller);
    this.#scroller.addEventListener('scroll', () => this.#draw());
    this.#scroller.addEventListener('click', (event) => this.#click(event));
    this.#scroller.addEventListener('dblclick', () => this.#zoomTo());
    this.#grid.addEventListener('keydown', (event) => this.#key(event));
    app.onChange((changes) => {
      if (changes.has('filter')) this.#measure();
      if (changes.has('selection') && app.selected >= 0) this.#scrollTo(app.selected);
      else if (changes.has('view') || changes.has('filter')) this.#followView();
      this.#draw();
    });
    this.#measure();
  }

  get #heightPx(): number {
    return Math.min(MOST_HEIGHT_PX, this.app.listed.length * ROW_PX);
  }

  get #rowsInSight(): number {
    return Math.max(1, Math.floor(this.#scroller.clientHeight / ROW_PX));
  }

  /** Leaves the room of the scroll bar free in the head too. */
  #alignHead(): void {
    const barPx = this.#scroller.offsetWidth - this.#scroller.clientWidth;
    this.#grid.querySelector<HTMLElement>('.head')!.style.paddingRight = `${10 + barPx}px`;
  }

  #measure(): void {
    this.#spacer.style.height = `${this.#heightPx}px`;
    this.#grid.setAttribute('aria-rowcount', String(this.app.listed.length + 1));
    const { length } = this.app.listed;
    const all = this.app.model.count;
    byId('events-count').textContent = length === all ? count(all) : `${count(length)} of ${count(all)}`;
  }

  /** The row at the top, with a fraction; in a table too high to scroll, pixels stand for more than pixels. */
  get #top(): number {
    const most = this.#heightPx - this.#scroller.clientHeight;
    const rows = this.app.listed.length - this.#scroller.clientHeight / ROW_PX;
    return most <= 0 ? 0 : (this.#scroller.scrollTop / most) * Math.max(0, rows);
  }

  #scrollToRow(row: number): void {
    const most = this.#heightPx - this.#scroller.clientHeight;
    const rows = this.app.listed.length - this.#scroller.clientHeight / ROW_PX;
    if (rows > 0) this.#scroller.scrollTop = (row / rows) * most;
  }

  #scrollTo(event: number): void {
    const row = firstAfter(this.app.listed, event);
    const top = this.#top;
    if (row >= top + 0.5 && row <= top + this.#rowsInSight - 2) return;
    this.#scrollToRow(row - Math.floor(this.#rowsInSight / 3));
  }

  /** The table begins with what the timeline begins with, unless the selected event is in both. */
  #followView(): void {
    const { app } = this;
    const { from, to } = app.viewport.view;
    const position = app.positions[app.selected];
    if (position !== undefined && position >= from && position <= to) return;
    this.#scrollToRow(app.viewport.isWhole ? 0 : app.firstInView());
  }

  #draw(): void {
    const { app } = this;
    const top = this.#top;
    const first = Math.floor(top + 0.01);
    const needed = Math.min(app.listed.length - first, this.#rowsInSight + 2);
    while (this.#rows.length < needed) this.#rows.push(this.#makeRow());
    const { from, to } = app.viewport.view;
    const hits = new Set(app.hits.subarray(firstAfter(app.hits, app.listed[first] ?? 0)).subarray(0, needed));
    for (const [i, { row, cells }] of this.#rows.entries()) {
      row.hidden = i >= needed;
      if (row.hidden) continue;
      const event = app.listed[first + i]!;
      this.#fill(cells, event, app.listed[first + i - 1]);
      const position = app.positions[event]!;
      row.style.transform = `translateY(${this.#scroller.scrollTop + (i - (top - first)) * ROW_PX}px)`;
      row.id = `event-${event}`;
      row.setAttribute('aria-rowindex', String(first + i + 2));
      row.setAttribute('aria-selected', String(event === app.selected));
      row.classList.toggle('in-view', position >= from && position <= to && !app.viewport.isWhole);
      row.classList.toggle('hit', hits.has(event));
      row.classList.toggle('failed', app.model.columns.failed[event] === 1);
      row.classList.toggle('noticed', app.model.isNoticed(event));
    }
    this.#grid.setAttribute('aria-activedescendant', app.selected < 0 ? '' : `event-${app.selected}`);
  }

  #makeRow(): RowElements {
    const names = ['no', 'time device', 'delta', 'time host', 'card', 'what', 'subject', 'rest'];
    const cells = names.map((name) => h('span', { class: `cell ${name}`, role: 'gridcell' }));
    const row = h('div', { class: 'row', role: 'row' }, ...cells);
    this.#spacer.append(row);
    return { row, cells };
  }

  #fill(cells: readonly HTMLElement[], event: number, before: number | undefined): void {
    const { model, positions, axis } = this.app;
    const { columns } = model;
    const { what, subject, detail } = model.words(event);
    const origin = model.originOf(event);
    const delta = before === undefined ? undefined : positions[event]! - positions[before]!;
    const card = columns.card[event]!;
    const texts = [
      count(event + 1),
      card === 0 ? '' : microseconds(columns.deviceNs[event]! - offsetOf(model, card)),
      delta === undefined || axis === 'order' || delta === 0 ? '' : `${delta < 0 ? '' : '+'}${duration(delta)}`,
      microseconds(columns.hostNs[event]!),
      card === 0 ? '' : model.cardName(card),
      what,
      subject,
      origin === '' ? detail : `${detail} by ${origin}`,
    ];
    for (const [i, text] of texts.entries()) cells[i]!.textContent = text;
    cells[5]!.style.setProperty('--ink', `var(--ink-${model.inkOf(event)})`);
  }

  #click(event: MouseEvent): void {
    const row = (event.target as HTMLElement).closest('.row');
    if (row) this.app.select(Number(row.id.slice('event-'.length)), { reveal: true });
  }

  /** Looks closely at the selected event. */
  #zoomTo(): void {
    const { app } = this;
    if (app.selected < 0) return;
    const position = app.positions[app.selected]!;
    app.viewport.zoom(0.1, position);
    app.viewport.center(position);
    app.changed('view');
  }

  #key(event: KeyboardEvent): void {
    const { app } = this;
    const page = this.#rowsInSight - 1;
    const steps: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page };
    const step = steps[event.key] ?? { Home: -Infinity, End: Infinity }[event.key];
    if (step !== undefined) app.step(step);
    else if (event.key === 'Enter') this.#zoomTo();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}
