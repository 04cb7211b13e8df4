/** What a reader wants to know first: the notices of the run, and what was left to say of each card at its end. */
import { type App } from './app';
import { byId, h } from './dom';

const TITLES = { notice: 'Notices', end: 'At the end' } as const;

export function listFound(app: App): void {
  const { found } = app.model.head;
  const list = byId('found');
  list.hidden = found.length === 0;
  for (const what of ['notice', 'end'] as const) {
    const items = found
      .filter((each) => each.what === what)
      .map(({ text, event }) => {
        const dot = h('span', { class: 'dot' });
        dot.style.setProperty('--ink', `var(--ink-${app.model.inkOf(event)})`);
        return h(
          'li',
          {},
          h('button', { class: 'link', onclick: () => app.select(event, { reveal: true }) }, dot, text),
        );
      });
    if (items.length > 0) list.append(h('h2', {}, TITLES[what]), h('ul', { class: 'links' }, ...items));
  }
}
