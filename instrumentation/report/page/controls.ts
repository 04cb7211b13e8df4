/** The bar at the top, the filter, the keyboard, and the parts of the page that can be moved or opened. */
import { type App } from './app';
import { byId, h, type Palette } from './dom';
import { count } from './format';
import { AXES, type AxisName } from './model';
import { INKS, type Ink } from './report';

const INK_NAMES: Readonly<Record<Ink, string>> = {
  'read': 'reads',
  'write': 'writes',
  'descriptor': 'descriptors',
  'data': 'DMA data',
  'write-back': 'write-backs',
  'other-dma': 'other DMA',
  'raised': 'raised',
  'held': 'held',
  'sent': 'sent',
  'state': 'states',
  'task': 'scheduled work',
  'client': 'host',
  'mark': 'marks',
  'fault': 'faults',
  'notice': 'notices',
};
const AXIS_NAMES: Readonly<Record<AxisName, string>> = { device: 'Device time', host: 'Host time', order: 'Order' };
const LEAST_PANEL_PX = 80;

export class Controls {
  readonly #search = byId<HTMLInputElement>('search');

  constructor(
    private readonly app: App,
    private readonly palette: Palette,
  ) {
    this.#makeAxes();
    this.#makeFilter();
    this.#listen();
    app.onChange((changes) => {
      if (changes.has('hits') || changes.has('selection')) this.#showHits();
      if (changes.has('filter')) this.#showFilter();
      if (changes.has('axis')) document.body.dataset.axis = app.axis;
      if (changes.has('selection')) this.#announce();
    });
  }

  #makeAxes(): void {
    for (const axis of AXES) {
      const input = h('input', { type: 'radio', name: 'axis', value: axis, onchange: () => this.app.setAxis(axis) });
      input.checked = axis === this.app.axis;
      byId('axes').append(h('label', {}, input, h('span', {}, AXIS_NAMES[axis])));
    }
  }

  /** A button for each kind of event that there is. */
  #makeFilter(): void {
    const { model } = this.app;
    const counts = new Uint32Array(INKS.length);
    for (const ink of model.columns.ink) counts[ink]!++;
    for (const [i, ink] of INKS.entries()) {
      if (counts[i] === 0) continue;
      const button = h(
        'button',
        {
          'class': 'chip',
          'data-ink': ink,
          'aria-pressed': 'true',
          'title': 'Click: show or hide. Shift-click: show nothing else.',
        },
        h('span', { class: 'dot' }),
        `${INK_NAMES[ink]} `,
        h('span', { class: 'faint' }, count(counts[i]!)),
      );
      button.style.setProperty('--ink', `var(--ink-${ink})`);
      button.addEventListener('click', (event) => this.app.toggleInk(ink, event.shiftKey));
      byId('filter').insertBefore(button, byId('show-all'));
    }
    byId('show-all').addEventListener('click', () => this.app.showAll());
  }

  #showFilter(): void {
    const { hiddenInks, hiddenLanes } = this.app;
    for (const button of document.querySelectorAll<HTMLElement>('.chip')) {
      button.setAttribute('aria-pressed', String(!hiddenInks.has(button.dataset.ink as Ink)));
    }
    const lanes =
      hiddenLanes.size === 0 ? '' : `, ${hiddenLanes.size} ${hiddenLanes.size === 1 ? 'lane' : 'lanes'} hidden`;
    const showAll = byId('show-all');
    showAll.hidden = hiddenInks.size + hiddenLanes.size === 0;
    showAll.textContent = `Show all${lanes}`;
  }

  #showHits(): void {
    const { hits, query, selected } = this.app;
    const at = hits.indexOf(selected);
    const text = at < 0 ? count(hits.length) : `${count(at + 1)} of ${count(hits.length)}`;
    byId('hits').textContent = query.trim() === '' ? '' : hits.length === 0 ? 'none' : text;
    this.#search.classList.toggle('no-hits', query.trim() !== '' && hits.length === 0);
  }

  #announce(): void {
    const { selected, model } = this.app;
    if (selected >= 0) byId('announcer').textContent = `Event ${selected + 1}: ${model.line(selected)}`;
  }

  #listen(): void {
    const { app } = this;
    const on = (id: string, act: () => void): void => byId(id).addEventListener('click', act);
    this.#search.addEventListener('input', () => app.setQuery(this.#search.value));
    this.#search.addEventListener('keydown', (event) => {
      if (event.key === 'Enter') app.jump(event.shiftKey ? -1 : 1);
      else if (event.key === 'Escape') this.#search.blur();
      else return;
      event.preventDefault();
    });
    on('search-next', () => app.jump(1));
    on('search-previous', () => app.jump(-1));
    on('zoom-in', () => this.#zoom(0.5));
    on('zoom-out', () => this.#zoom(2));
    on('fit', () => this.#fit());
    on('theme', () => this.#toggleTheme());
    on('help', () => byId<HTMLDialogElement>('help-dialog').showModal());
    const light = matchMedia('(prefers-color-scheme: light)');
    light.addEventListener('change', () => this.#setTheme(light.matches ? 'light' : 'dark'));
    this.#setTheme(light.matches ? 'light' : 'dark');
    document.addEventListener('keydown', (event) => this.#key(event));
    this.#makeTabs();
    this.#makeSplitter();
  }

  #zoom(factor: number): void {
    const { app } = this;
    const { from, to } = app.viewport.view;
    const position = app.positions[app.selected];
    app.viewport.zoom(factor, position !== undefined && position >= from && position <= to ? position : undefined);
    app.changed('view');
  }

  #fit(): void {
    this.app.viewport.fit();
    this.app.changed('view');
  }

  #key(event: KeyboardEvent): void {
    const { app } = this;
    const target = event.target as HTMLElement;
    if (
      event.ctrlKey ||
      event.metaKey ||
      event.altKey ||
      target.matches('input, select, textarea') ||
      document.querySelector('dialog[open]')
    )
      return;
    const pan = (share: number) => () => {
      app.viewport.pan(app.viewport.length * share);
      app.changed('view');
    };
    const keys: Record<string, () => void> = {
      '+': () => this.#zoom(0.5),
      '=': () => this.#zoom(0.5),
      'w': () => this.#zoom(0.5),
      '-': () => this.#zoom(2),
      's': () => this.#zoom(2),
      'a': pan(-0.2),
      'd': pan(0.2),
      'ArrowLeft': pan(-0.2),
      'ArrowRight': pan(0.2),
      'f': () => this.#fit(),
      '0': () => this.#fit(),
      'ArrowDown': () => app.step(1),
      'ArrowUp': () => app.step(-1),
      'j': () => app.step(1),
      'k': () => app.step(-1),
      'n': () => app.jump(1),
      'N': () => app.jump(-1),
      '/': () => (this.#search.focus(), this.#search.select()),
      'z': () => this.#zoomToRange(),
      't': () => this.#nextAxis(),
      '?': () => byId('help').click(),
      'Escape': () => {
        app.range = undefined;
        app.select(-1);
      },
    };
    if (target.getAttribute('role') === 'tab' && event.key.startsWith('Arrow')) return;
    const act = keys[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }

  #zoomToRange(): void {
    const { range, viewport } = this.app;
    if (!range) return;
    viewport.set(range.from, range.to);
    this.app.range = undefined;
    this.app.changed('view', 'range');
  }

  #nextAxis(): void {
    const next = AXES[(AXES.indexOf(this.app.axis) + 1) % AXES.length]!;
    document.querySelector<HTMLInputElement>(`input[name="axis"][value="${next}"]`)!.click();
  }

  #toggleTheme(): void {
    this.#setTheme(document.documentElement.dataset.theme === 'light' ? 'dark' : 'light');
  }

  #setTheme(theme: 'dark' | 'light'): void {
    document.documentElement.dataset.theme = theme;
    this.palette.forget();
    this.app.changed('theme');
  }

  #makeTabs(): void {
    const tabs = [...document.querySelectorAll<HTMLElement>('[role="tab"]')];
    const open = (tab: HTMLElement): void => {
      for (const each of tabs) {
        each.setAttribute('aria-selected', String(each === tab));
        each.tabIndex = each === tab ? 0 : -1;
        byId(each.getAttribute('aria-controls')!).hidden = each !== tab;
      }
      this.app.changed('lanes');
    };
    for (const [i, tab] of tabs.entries()) {
      tab.addEventListener('click', () => open(tab));
      tab.addEventListener('keydown', (event) => {
        const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        const next = by && tabs[(i + by + tabs.length) % tabs.length];
        if (!next) return;
        open(next);
        next.focus();
      });
    }
  }

  /** Between timeline and table. */
  #makeSplitter(): void {
    const splitter = byId('splitter');
    const bottom = byId('bottom');
    const resize = (height: number): void => {
      const most = window.innerHeight - 3 * LEAST_PANEL_PX;
      bottom.style.height = `${Math.max(LEAST_PANEL_PX, Math.min(most, height))}px`;
    };
    splitter.addEventListener('pointerdown', (down) => {
      splitter.setPointerCapture(down.pointerId);
      const start = bottom.offsetHeight + down.clientY;
      const move = (event: PointerEvent): void => resize(start - event.clientY);
      splitter.addEventListener('pointermove', move);
      splitter.addEventListener('lostpointercapture', () => splitter.removeEventListener('pointermove', move), {
        once: true,
      });
    });
    splitter.addEventListener('keydown', (event) => {
      const by = { ArrowUp: 24, ArrowDown: -24 }[event.key];
      if (by === undefined) return;
      event.stopPropagation();
      event.preventDefault();
      resize(bottom.offsetHeight + by);
    });
  }
}
