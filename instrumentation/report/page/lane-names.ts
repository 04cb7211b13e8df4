/** The names of lanes, beside the canvas: with the names of their lines, and a heading for each card if there are several. */
import { type App } from './app';
import { h } from './dom';
import { type Lane } from './model';
import { laneHeight } from './painter';

export class LaneNames {
  /** Of all lanes. */
  heightPx = 0;

  constructor(
    private readonly app: App,
    private readonly gutter: HTMLElement,
  ) {}

  /** Gives back where each lane begins. */
  show(): number[] {
    const tops: number[] = [];
    this.heightPx = 0;
    const names = this.app.lanes.map((lane) => {
      const element = lane.style === 'heading' ? this.#heading(lane) : this.#name(lane);
      element.style.top = `${this.heightPx}px`;
      element.style.height = `${laneHeight(lane)}px`;
      tops.push(this.heightPx);
      this.heightPx += laneHeight(lane);
      return element;
    });
    this.gutter.replaceChildren(...names);
    return tops;
  }

  #name(lane: Lane): HTMLElement {
    const { label, card } = lane.head;
    const isOfSeveral = this.app.model.head.cards.length > 1 && card !== 0;
    const title = isOfSeveral ? `${label} of ${this.app.model.cardName(card)}` : label;
    const rows = lane.rows.map((row) => {
      const element = h('span', { class: 'lane-row' }, row.label);
      element.style.height = element.style.lineHeight = `${row.heightPx}px`;
      element.style.color = `var(--ink-${row.ink})`;
      return element;
    });
    return h(
      'div',
      { 'class': lane.register === undefined ? 'lane' : 'lane of-register', 'role': 'listitem', 'data-card': card },
      h('span', { class: 'lane-name', title }, label),
      h('span', { class: 'lane-rows' }, ...rows),
      h(
        'button',
        {
          'class': 'hide',
          'title': `Hide ${title}`,
          'aria-label': `Hide lane ${title}`,
          'onclick': () => this.#hide(lane),
        },
        '×',
      ),
    );
  }

  #heading({ head: { card, label } }: Lane): HTMLElement {
    const isOpen = !this.app.foldedCards.has(card);
    const fold = { 'class': 'link', 'aria-expanded': String(isOpen), 'onclick': () => this.app.toggleCard(card) };
    return h('div', { class: 'lane heading', role: 'listitem' }, h('button', fold, `${isOpen ? '▾' : '▸'} ${label}`));
  }

  #hide(lane: Lane): void {
    if (lane.register !== undefined) this.app.toggleRegister(lane.register);
    else this.app.hideLane(lane.key);
  }
}
