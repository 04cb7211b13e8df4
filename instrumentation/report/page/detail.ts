/** Everything about one event, or about one register. */
import { type App, firstAfter } from './app';
import { byId, h } from './dom';
import { bytes, count, duration, hex, microseconds, times } from './format';
import { type TraceModel } from './model';
import { accessTag, carried, fieldsView, knownText, lastValue, regionName } from './registers';
import { type Ink, INKS, type RegisterHead } from './report';

const MOST_LINKS = 20;
const MOST_DUMPED = 4096;
const STIMULI = ['read', 'write'];

export class Detail {
  readonly #panel = byId('detail');

  constructor(private readonly app: App) {
    app.onChange((changes) => {
      if (changes.has('selection')) this.#draw();
    });
    this.#draw();
  }

  #draw(): void {
    const { selected, register } = this.app;
    const content =
      register >= 0 ? this.#registerView(register) : selected >= 0 ? this.#eventView(selected) : this.#overview();
    this.#panel.replaceChildren(...content);
    this.#panel.scrollTop = 0;
  }

  /** While nothing is selected: where to begin. */
  #overview(): HTMLElement[] {
    const { model } = this.app;
    const ofInks = (...inks: readonly Ink[]): number[] => {
      const numbers = inks.map((ink) => INKS.indexOf(ink));
      return Array.from(model.columns.ink.keys()).filter((event) => numbers.includes(model.columns.ink[event]!));
    };
    const failed = Array.from(model.columns.failed.keys()).filter((event) => model.columns.failed[event] === 1);
    return [
      h('p', { class: 'hint' }, 'Click an event in the timeline or in the table to see all about it here.'),
      ...this.#links('Faults', ofInks('fault')),
      ...this.#links('DMA that failed', failed),
      ...this.#links('Marks', ofInks('mark')),
    ];
  }

  #eventView(event: number): HTMLElement[] {
    const { model } = this.app;
    const { what, subject, detail } = model.words(event);
    const title = h('h2', {}, h('span', { class: 'dot' }), `${what} ${subject}`.trim());
    title.style.setProperty('--ink', `var(--ink-${model.inkOf(event)})`);
    const isDma = model.kindOf(event).startsWith('dma-');
    return [
      title,
      ...(detail === '' || isDma ? [] : [h('p', { class: 'said' }, detail)]),
      this.#factsView(event),
      ...this.#aboutView(event),
      ...this.#registersOf(event),
      ...this.#writtenView(event),
      ...(isDma || model.columns.sizeBytes[event]! > 8 ? dumpView(model, event) : []),
      ...this.#relatedView(event),
    ];
  }

  #factsView(event: number): HTMLElement {
    const { model } = this.app;
    const { columns } = model;
    const card = columns.card[event]!;
    const head = model.head.cards.find(({ id }) => id === card);
    const [region, address, sizeBytes] = [columns.region[event]!, columns.address[event]!, columns.sizeBytes[event]!];
    const origin = model.originOf(event);
    const where = region < 0 ? 'address' : `offset in ${regionName(region)}`;
    return list([
      ['event', `#${count(event + 1)}, ${model.kindOf(event)}`],
      ['card', head ? `${head.name} (${head.what})` : 'the run as a whole'],
      ...(card === 0
        ? []
        : ([['device time', `${microseconds(columns.deviceNs[event]! - (head?.offsetNs ?? 0))} µs`]] as const)),
      ['host time', `${microseconds(columns.hostNs[event]!)} µs`],
      ...(address < 0 ? [] : ([[where, hex(address)]] as const)),
      ...(sizeBytes === 0 ? [] : ([['size', sizeText(sizeBytes)]] as const)),
      ...(origin === '' ? [] : ([['by', origin]] as const)),
      ...model.head.facts[columns.facts[event]!]!,
    ]);
  }

  /** The registers that an access has touched, with what it says of their fields. */
  #registersOf(event: number): HTMLElement[] {
    const { model } = this.app;
    const first = model.columns.register[event]!;
    if (first < 0) return [];
    const touched: number[] = [];
    for (let number = first; number < model.head.registers.length; number++) {
      const { events } = model.uses[number]!;
      if (events[firstAfter(events, event)] !== event) break;
      touched.push(number);
    }
    return touched.flatMap((number) => {
      const register = model.head.registers[number]!;
      const known = carried(model, event, register);
      return [
        h(
          'h3',
          {},
          h('button', { class: 'link name', onclick: () => this.app.showRegister(number) }, register.name),
          h('span', { class: 'number' }, ` ${knownText(known, register.width)} `),
          accessTag(register.access),
        ),
        h('p', { class: 'doc' }, register.doc),
        ...fieldsView(register, known),
      ];
    });
  }

  /** Of a notice, what it is about; of another event, the notices about it. */
  #aboutView(event: number): HTMLElement[] {
    const { model } = this.app;
    const isNotice = model.kindOf(event) === 'notice';
    return this.#links(isNotice ? 'About' : 'Notices', model.aboutOf(event));
  }

  /** Who wrote what the card has read, with the DMA of what was written by DMA. */
  #writtenView(event: number): HTMLElement[] {
    const { model } = this.app;
    const written = model.head.written[model.columns.written[event]!]!;
    if (written.length === 0) return [];
    const items = written.map(({ text, dma }) => {
      const [source = -1] = dma ? [this.#lastDmaTo(dma, event)] : [];
      if (source < 0) return h('li', {}, text);
      const link = h('button', { class: 'link', onclick: () => this.app.select(source, { reveal: true }) }, text);
      return h('li', {}, link, h('span', { class: 'faint' }, ` #${count(source + 1)}`));
    });
    return [h('h3', {}, 'Whose bytes'), h('ul', { class: 'links' }, ...items)];
  }

  /** The last DMA write before an event to a range of memory; -1: none. */
  #lastDmaTo([start, end]: readonly [number, number], event: number): number {
    const { model } = this.app;
    const { address, sizeBytes, failed } = model.columns;
    return this.#search(event, -1, (other) => {
      const isThere = address[other]! < end && address[other]! + sizeBytes[other]! > start;
      return isThere && failed[other] === 0 && model.kindOf(other) === 'dma-write';
    });
  }

  /** Where to go from here: what caused it, what it caused, its neighbours. */
  #relatedView(event: number): HTMLElement[] {
    const { model } = this.app;
    const { columns } = model;
    const cause = columns.cause[event]!;
    const doorbell = columns.doorbell[event]!;
    const effects = model.effectsOf(event);
    const lane = (other: number): boolean => columns.lane[other] === columns.lane[event];
    const kind = model.kindOf(event);
    const isOfCard = (other: number, wanted: string): boolean =>
      model.kindOf(other) === wanted && columns.card[other] === columns.card[event];
    const driver = kind === 'task' ? this.#search(event, -1, (other) => isOfCard(other, 'write')) : -1;
    const work = kind === 'write' ? this.#search(event, 1, (other) => isOfCard(other, 'task')) : -1;
    const register = columns.register[event]!;
    const sameRegister = (other: number): boolean => columns.register[other] === register;
    return [
      ...this.#links('Caused by', cause < 0 ? [] : [cause], event),
      ...this.#links('Started by', doorbell < 0 ? [] : [doorbell], event),
      ...this.#links('The last write of the driver before', driver < 0 ? [] : [driver], event),
      ...this.#links('The next scheduled work of the card', work < 0 ? [] : [work], event),
      ...this.#links(`Effects (${effects.length})`, effects, event),
      ...(kind === 'fault' ? this.#nextOfNamed(event) : []),
      ...this.#links(
        STIMULI.includes(kind) && register >= 0 ? 'This register, before and after' : 'In this lane, before and after',
        [...this.#neighbours(event, STIMULI.includes(kind) && register >= 0 ? sameRegister : lane)],
        event,
      ),
    ];
  }

  /** What became of that which a fault begins by naming: an interrupt, or DMA at an address. */
  #nextOfNamed(event: number): HTMLElement[] {
    const { model } = this.app;
    const { columns, head } = model;
    const said = model.words(event).detail;
    const isOfCard = (card: number): boolean => card === columns.card[event];
    const next = (is: (other: number) => boolean): number[] =>
      [this.#search(event, 1, is)].filter((other) => other >= 0);
    const [, access, address] = /^DMA (read|write) of \d+ bytes at (0x[0-9a-f]+)/.exec(said) ?? [];
    if (access !== undefined) {
      const isAccess = (other: number): boolean =>
        isOfCard(columns.card[other]!) &&
        model.kindOf(other) === `dma-${access}` &&
        columns.address[other] === Number(address);
      return this.#links(`Next DMA ${access} at ${address}`, next(isAccess), event);
    }
    const lane = head.lanes.findIndex(
      ({ card, group, label }) => group === 'interrupts' && isOfCard(card) && said.startsWith(`${label} `),
    );
    if (lane < 0) return [];
    const isThere = (other: number): boolean => columns.lane[other] === lane;
    return this.#links(`Next of ${head.lanes[lane]!.label}`, next(isThere), event);
  }

  #neighbours(event: number, belongs: (other: number) => boolean): number[] {
    return [this.#search(event, -1, belongs), this.#search(event, 1, belongs)].filter((other) => other >= 0);
  }

  #search(event: number, direction: 1 | -1, is: (other: number) => boolean): number {
    const { count: length } = this.app.model;
    for (let other = event + direction; other >= 0 && other < length; other += direction) if (is(other)) return other;
    return -1;
  }

  #links(title: string, events: ArrayLike<number>, from?: number): HTMLElement[] {
    if (events.length === 0) return [];
    const { model } = this.app;
    const { deviceNs } = model.columns;
    const items = Array.from({ length: Math.min(events.length, MOST_LINKS) }, (_, i) => {
      const event = events[i]!;
      const after = from === undefined ? 0 : deviceNs[event]! - deviceNs[from]!;
      const dot = h('span', { class: 'dot' });
      dot.style.setProperty('--ink', `var(--ink-${model.inkOf(event)})`);
      const when = after === 0 ? '' : ` ${duration(Math.abs(after))} ${after < 0 ? 'earlier' : 'later'}`;
      const text = `#${count(event + 1)} ${shortened(model.line(event))}`;
      const link = h('button', { class: 'link', onclick: () => this.app.select(event, { reveal: true }) }, dot, text);
      return h('li', {}, link, h('span', { class: 'faint' }, when));
    });
    const more = events.length - items.length;
    return [
      h('h3', {}, title),
      h(
        'ul',
        { class: 'links' },
        ...items,
        ...(more > 0 ? [h('li', { class: 'faint' }, `and ${count(more)} more`)] : []),
      ),
    ];
  }

  #registerView(number: number): HTMLElement[] {
    const { model, selected } = this.app;
    const register = model.head.registers[number]!;
    const { reads, writes, events } = model.uses[number]!;
    const until = selected < 0 ? Infinity : selected;
    const valueOf = (kind: 'read' | 'write'): HTMLElement[] => {
      const known = lastValue(model, number, kind, until);
      if (known.event < 0) return [];
      const when = h(
        'button',
        { class: 'link', onclick: () => this.app.select(known.event, { reveal: true }) },
        `#${count(known.event + 1)}`,
      );
      const title = h(
        'h3',
        {},
        `Last ${kind === 'read' ? 'read' : 'written'}: ${knownText(known, register.width)} `,
        when,
      );
      return [title, ...fieldsView(register, known)];
    };
    const steps = [events[0], events.at(-1)].filter((event) => event !== undefined);
    return [
      h('h2', {}, register.name),
      h('p', { class: 'said doc' }, register.doc),
      list([
        ['where', `${regionName(register.region)} + ${hex(register.offset)}, ${register.width} bits`],
        ['access', register.access],
        ['reset value', knownText(resetOf(register), register.width)],
        ['read', reads === 0 ? 'never' : times(reads)],
        ['written', writes === 0 ? 'never' : times(writes)],
      ]),
      ...valueOf('read'),
      ...valueOf('write'),
      ...(events.length === 0 ? [h('h3', {}, 'Fields after reset'), ...fieldsView(register, resetOf(register))] : []),
      ...this.#links('First and last access', [...new Set(steps)], steps[0] ?? 0),
    ];
  }
}

const resetOf = ({ reset, width }: RegisterHead) => ({ value: BigInt(`0x${reset}`), mask: (1n << BigInt(width)) - 1n });

const sizeText = (size: number): string => (size < 1024 ? `${size} bytes` : `${bytes(size)} (${count(size)} bytes)`);

const shortened = (text: string): string => (text.length > 90 ? `${text.slice(0, 89)}…` : text);

function list(facts: readonly (readonly [string, string])[]): HTMLElement {
  return h('dl', {}, ...facts.flatMap(([name, value]) => [h('dt', {}, name), h('dd', {}, value)]));
}

/** The payload in hexadecimal and as characters, sixteen bytes in a line. */
function dumpView(model: TraceModel, event: number): HTMLElement[] {
  const data = model.bytesOf(event);
  if (!data) return [h('p', { class: 'hint' }, 'The bytes were not recorded.')];
  const address = model.columns.address[event]!;
  const missing = model.columns.sizeBytes[event]! - data.length;
  const pre = h('pre', { 'class': 'dump', 'tabindex': 0, 'aria-label': 'Payload in hexadecimal' });
  const show = (length: number): void => {
    pre.textContent = dump(data.subarray(0, length), address);
  };
  show(MOST_DUMPED);
  const all = h('button', { onclick: () => (show(data.length), all.remove()) }, `Show all ${sizeText(data.length)}`);
  return [
    h('h3', {}, 'Payload'),
    pre,
    ...(data.length > MOST_DUMPED ? [all] : []),
    ...(missing > 0 ? [h('p', { class: 'hint' }, `${count(missing)} more bytes are in the trace file.`)] : []),
  ];
}

function dump(data: Uint8Array, address: number): string {
  const lines: string[] = [];
  const digits = Math.max(4, (address + data.length).toString(16).length);
  for (let at = 0; at < data.length; at += 16) {
    const line = [...data.subarray(at, at + 16)];
    const text = line.map((byte) => byte.toString(16).padStart(2, '0'));
    const [left, right] = [text.slice(0, 8).join(' '), text.slice(8).join(' ')];
    const characters = line.map((byte) => (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : '·')).join('');
    lines.push(
      `${(address + at).toString(16).padStart(digits, '0')}  ${`${left}  ${right}`.padEnd(48)}  ${characters}`,
    );
  }
  return lines.join('\n');
}
