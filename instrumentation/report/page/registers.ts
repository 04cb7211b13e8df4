/** What is known of registers: their fields, decoded values, and how the driver has used them. */
import { type App } from './app';
import { byId, h } from './dom';
import { count, hex, times } from './format';
import { type TraceModel } from './model';
import { type CardHead, type FieldHead, type RegisterHead } from './report';

export const regionName = (region: number): string => (region === 7 ? 'config' : region === 6 ? 'ROM' : `BAR${region}`);

const ACCESS_WORDS: Readonly<Record<string, string>> = {
  ro: 'read only',
  rw: 'read and write',
  wo: 'write only',
  w1c: 'write 1 to clear',
  w1s: 'write 1 to set',
  rc: 'read clears',
  reserved: 'reserved',
};

/** A code of access rights that explains itself. */
export const accessTag = (access: string): HTMLElement =>
  h('abbr', { class: 'access', title: ACCESS_WORDS[access] ?? access }, access);

/** A value of which some bits may be unknown. */
export interface Known {
  readonly value: bigint;
  /** Bits that are known. */
  readonly mask: bigint;
}

/** The part of a register that one access has carried. */
export function carried(model: TraceModel, event: number, register: RegisterHead): Known {
  const data = model.bytesOf(event) ?? new Uint8Array();
  const offset = model.columns.address[event]!;
  let [value, mask] = [0n, 0n];
  for (let i = 0; i < register.width / 8; i++) {
    const byte = data[register.offset + i - offset];
    if (byte === undefined) continue;
    value |= BigInt(byte) << BigInt(8 * i);
    mask |= 0xffn << BigInt(8 * i);
  }
  return { value, mask };
}

/** What was last read from a register, or written to it, up to an event; put together from partial accesses. */
export function lastValue(
  model: TraceModel,
  number: number,
  kind: 'read' | 'write',
  until: number,
): Known & { event: number } {
  const register = model.head.registers[number]!;
  const { events } = model.uses[number]!;
  const all = (1n << BigInt(register.width)) - 1n;
  let [value, mask, event] = [0n, 0n, -1];
  for (let i = events.length; i-- > 0 && mask !== all;) {
    const each = events[i]!;
    if (each > until || model.kindOf(each) !== kind) continue;
    const part = carried(model, each, register);
    value |= part.value & ~mask;
    mask |= part.mask;
    if (event < 0) event = each;
  }
  return { value, mask, event };
}

export function knownText({ value, mask }: Known, width: number): string {
  if (mask === 0n) return '';
  const digits = hex(value, width / 4).split('');
  for (let i = 0; i < width / 4; i++) {
    if (((mask >> BigInt(4 * i)) & 0xfn) === 0n) digits[digits.length - 1 - i] = '?';
  }
  return digits.join('');
}

export const fieldBits = ({ msb, lsb }: FieldHead): string => (msb === lsb ? `${msb}` : `${msb}:${lsb}`);

export function fieldValue({ msb, lsb }: FieldHead, { value, mask }: Known): bigint | undefined {
  const bits = ((1n << BigInt(msb - lsb + 1)) - 1n) << BigInt(lsb);
  return (mask & bits) === bits ? (value & bits) >> BigInt(lsb) : undefined;
}

/** A register's fields with what they hold: a strip as in a data sheet, and a table. */
export function fieldsView(register: RegisterHead, known: Known): HTMLElement[] {
  const fields = [...register.fields].sort((a, b) => b.msb - a.msb);
  if (fields.length === 0) return [];
  const valueText = (field: FieldHead): { number: string; name: string } => {
    const value = fieldValue(field, known);
    if (value === undefined) return { number: '?', name: '' };
    const name = field.values.find((each) => BigInt(each.value) === value)?.name ?? '';
    return { number: value < 10n ? String(value) : `${hex(value)} (${value})`, name };
  };
  const strip = h('div', { 'class': 'strip', 'aria-hidden': 'true' });
  let next = register.width - 1;
  const gap = (from: number, to: number): void => {
    if (from < to) return;
    const box = h('span', { class: 'bits unused' });
    box.style.flexGrow = String(from - to + 1);
    strip.append(box);
  };
  for (const field of fields) {
    gap(next, field.msb + 1);
    const { number, name } = valueText(field);
    const isSet = number !== '0' && number !== '?';
    const title = `${field.name} [${fieldBits(field)}] = ${name || number}`;
    const box = h('span', { class: `bits ${isSet ? 'set' : ''}`, title }, name || number.replace(/ \(.*/, ''));
    box.style.flexGrow = String(field.msb - field.lsb + 1);
    strip.append(box);
    next = field.lsb - 1;
  }
  gap(next, 0);
  const rows = fields.map((field) => {
    const { number, name } = valueText(field);
    const others = field.values.map((each) => `${each.value} ${each.name}`).join(', ');
    return h(
      'tr',
      { class: number === '0' || number === '?' ? 'zero' : '' },
      h('td', { class: 'number' }, fieldBits(field)),
      h('td', { class: 'name' }, field.name),
      h('td', { class: 'number', title: others }, name === '' ? number : `${name} (${number})`),
      h('td', {}, accessTag(field.access)),
      h('td', { class: 'doc' }, field.doc),
    );
  });
  const heads = ['Bits', 'Field', 'Value', 'Access', 'Description'].map((name) => h('th', { scope: 'col' }, name));
  return [strip, h('table', { class: 'fields' }, h('thead', {}, h('tr', {}, ...heads)), h('tbody', {}, ...rows))];
}

type Use = 'all' | 'used' | 'unused' | 'unknown';

/** The register map, as a table with a row for each register and for each place that the card does not model. */
export class RegisterMap {
  readonly #body = byId('registers-body');
  readonly #use = byId<HTMLSelectElement>('registers-use');
  readonly #text = byId<HTMLInputElement>('registers-text');
  #isStale = true;

  constructor(private readonly app: App) {
    this.#use.addEventListener('change', () => this.#draw());
    this.#text.addEventListener('input', () => this.#draw());
    app.onChange((changes) => {
      if (!changes.has('selection') && !changes.has('lanes')) return;
      this.#isStale = true;
      this.show();
    });
  }

  /** Brings it up to date, if it can be seen. */
  show(): void {
    if (this.#isStale && this.#body.offsetParent !== null) this.#draw();
  }

  #draw(): void {
    this.#isStale = false;
    const { model, selected } = this.app;
    const use = this.#use.value as Use;
    const text = this.#text.value.toLowerCase();
    byId('registers-when').textContent =
      selected < 0 ? 'values at the end' : `values as of event #${count(selected + 1)}`;
    const spaces = new Map<string, HTMLElement[]>();
    const add = (card: number, region: number, row: HTMLElement): void => {
      const key = `${model.head.cards.length > 1 ? `${model.cardName(card)} · ` : ''}${regionName(region)}`;
      spaces.set(key, [...(spaces.get(key) ?? []), row]);
    };
    for (const [number, register] of model.head.registers.entries()) {
      const { events } = model.uses[number]!;
      if (use === 'unknown' || (use === 'used' && events.length === 0) || (use === 'unused' && events.length > 0))
        continue;
      if (!`${register.name} ${register.doc} ${hex(register.offset)}`.toLowerCase().includes(text)) continue;
      add(register.card, register.region, this.#row(number));
    }
    for (const place of use === 'unused' || text !== '' ? [] : unmodelled(model)) {
      add(place.card, place.region, this.#unmodelledRow(place));
    }
    const sections = [...spaces].flatMap(([name, rows]) => [
      h('tr', { class: 'space' }, h('th', { colspan: 9, scope: 'rowgroup' }, name)),
      ...rows,
    ]);
    const nothing = h('tr', {}, h('td', { colspan: 9, class: 'faint' }, 'None.'));
    this.#body.replaceChildren(...(sections.length > 0 ? sections : [nothing]));
  }

  #row(number: number): HTMLElement {
    const { model, selected, shownRegisters } = this.app;
    const register = model.head.registers[number]!;
    const { reads, writes } = model.uses[number]!;
    const until = selected < 0 ? Infinity : selected;
    const valueOf = (kind: 'read' | 'write'): string =>
      knownText(lastValue(model, number, kind, until), register.width);
    const isShown = shownRegisters.has(number);
    const isUsed = reads + writes > 0;
    const lane = h('input', {
      'type': 'checkbox',
      'aria-label': `Lane for ${register.name}`,
      'disabled': !isUsed,
      'onchange': () => this.app.toggleRegister(number),
    });
    lane.checked = isShown;
    return h(
      'tr',
      { class: isUsed ? '' : 'untouched' },
      h('td', {}, lane),
      h('td', { class: 'number' }, hex(register.offset, 3)),
      h('td', {}, h('button', { class: 'link name', onclick: () => this.app.showRegister(number) }, register.name)),
      h('td', {}, accessTag(register.access)),
      h('td', { class: 'number faint reset' }, hex(BigInt(`0x${register.reset}`), register.width / 4)),
      h('td', { class: 'number read' }, valueOf('read')),
      h('td', { class: 'number write' }, valueOf('write')),
      h(
        'td',
        { class: 'number' },
        isUsed ? `${count(reads)} / ${count(writes)}` : h('span', { class: 'tag' }, 'never touched'),
      ),
      h('td', { class: 'doc' }, register.doc),
    );
  }

  #unmodelledRow({ region, offset, sizeBytes, reads, writes, event }: Unmodelled): HTMLElement {
    const name = `${regionName(region)} + ${hex(offset)}`;
    return h(
      'tr',
      { class: 'unmodelled' },
      h('td'),
      h('td', { class: 'number' }, hex(offset, 3)),
      h('td', {}, h('button', { class: 'link name', onclick: () => this.app.select(event, { reveal: true }) }, name)),
      h('td'),
      h('td', { class: 'reset' }),
      h('td', { colspan: 2 }, h('span', { class: 'tag bad' }, 'not modelled'), ` ${sizeBytes} bytes`),
      h('td', { class: 'number' }, `${count(reads)} / ${count(writes)}`),
      h('td', { class: 'doc' }, `No register of the card lies there; touched ${times(reads + writes)}.`),
    );
  }
}

interface Unmodelled {
  readonly card: number;
  readonly region: number;
  readonly offset: number;
  readonly sizeBytes: number;
  reads: number;
  writes: number;
  /** The first. */
  readonly event: number;
}

/** Accesses of neither registers nor memory. */
function unmodelled(model: TraceModel): Unmodelled[] {
  const { columns, head } = model;
  const places = new Map<string, Unmodelled>();
  for (let event = 0; event < model.count; event++) {
    const region = columns.region[event]!;
    if (region < 0 || columns.register[event]! >= 0) continue;
    const card = columns.card[event]!;
    const [offset, sizeBytes] = [columns.address[event]!, columns.sizeBytes[event]!];
    const isIn = (place: CardHead['memory'][number]): boolean =>
      place.region === region && offset >= place.offset && offset < place.offset + place.sizeBytes;
    if (head.cards.find(({ id }) => id === card)?.memory.some(isIn)) continue;
    const key = `${card} ${region} ${offset} ${sizeBytes}`;
    const place = places.get(key) ?? { card, region, offset, sizeBytes, reads: 0, writes: 0, event };
    if (model.kindOf(event) === 'read') place.reads++;
    else place.writes++;
    places.set(key, place);
  }
  return [...places.values()].sort((a, b) => a.card - b.card || a.region - b.region || a.offset - b.offset);
}
