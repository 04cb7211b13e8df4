/** Makes the data of a report from a trace: events as columns, each with its lane, words, cause and payload. */
import { CardOutcome, type DmaEvent, printable, type Trace, type TraceEvent } from '../trace';
import { TraceCards } from '../analysis/card-names';
import { AccessOrigins } from '../analysis/origins';
import { DmaCauses, type WrittenBytes, wordWritten } from '../analysis/written';
import { notSeen, wordEventByActor } from '../analysis/words';
import { eventsAbout } from './abouts';
import { CauseFinder } from './causes';
import { Lanes, RegisterTable } from './lanes';
import { type Columns, type FoundHead, INKS, type Ink, type ReportHead, type WrittenHead } from './page/report';
import { Payloads } from './payloads';
import { TimeAxis } from './time-axis';

export interface ReportData {
  readonly head: Omit<ReportHead, 'columns'>;
  readonly columns: Columns;
}

/** Numbers things that repeat. */
class Numbered<T> {
  readonly items: T[] = [];
  readonly #known = new Map<string, number>();

  number(item: T, key: string): number {
    let number = this.#known.get(key);
    if (number === undefined) {
      number = this.items.push(item) - 1;
      this.#known.set(key, number);
    }
    return number;
  }
}

type Facts = [name: string, value: string][];

export function reportData(trace: Trace): ReportData {
  const cards = TraceCards.of(trace.events);
  const origins = new AccessOrigins(trace.events, cards);
  const { events } = origins;
  const lanes = new Lanes(events, cards);
  const registers = new RegisterTable(cards);
  const payloads = new Payloads(events);
  const axis = new TimeAxis(events);
  const causes = new CauseFinder(events);
  const strings = new Numbered<string>();
  const facts = new Numbered<Facts>();
  const kinds = new Numbered<string>();
  const written = new Numbered<readonly WrittenHead[]>();
  written.number([], '[]');
  const dmaCauses = new DmaCauses(cards);
  const numbers = new Map(events.map((event, i) => [event, i]));
  const touches: number[] = [];
  const abouts: number[] = [];
  const outcomes = new Map(cards.all.map(({ id }) => [id, new CardOutcome()]));
  const columns = emptyColumns(events.length, payloads);
  const said = (text: string): number => strings.number(text, text);

  for (const [i, event] of events.entries()) {
    const { what, subject, detail } = wordEventByActor(event, cards);
    columns.kind[i] = kinds.number(event.kind, event.kind);
    columns.ink[i] = INKS.indexOf(inkOf(event));
    columns.card[i] = event.card;
    columns.lane[i] = lanes.of(event);
    columns.deviceNs[i] = axis.place(event);
    columns.hostNs[i] = event.hostNs;
    columns.what[i] = said(what);
    columns.subject[i] = said(subject);
    columns.detail[i] = said(detail);
    columns.origin[i] = said(origins.of(event) ?? '');
    const rest = factsOf(event);
    columns.facts[i] = facts.number(rest, JSON.stringify(rest));
    columns.region[i] = 'region' in event ? event.region : -1;
    columns.address[i] = 'iova' in event ? event.iova : 'offset' in event ? event.offset : -1;
    columns.sizeBytes[i] = 'sizeBytes' in event ? event.sizeBytes : 'offset' in event ? event.data.length : 0;
    columns.failed[i] = 'error' in event ? 1 : 0;
    columns.cause[i] = causes.of(i);
    const doorbell = dmaCauses.take(event)?.doorbell;
    columns.doorbell[i] = doorbell === undefined ? -1 : numbers.get(doorbell)!;
    const writers = event.kind === 'dma-read' ? writtenHeads(origins.writersOf(event), event) : [];
    columns.written[i] = written.number(writers, JSON.stringify(writers));
    for (const about of eventsAbout(event, events)) abouts.push(i, about);
    columns.payload[i] = payloads.numberOf(i);
    outcomes.get(event.card)?.take(event, i);
    const touched = 'offset' in event ? registers.touchedBy(event) : [];
    columns.register[i] = touched[0] ?? -1;
    for (const register of touched) touches.push(i, register);
  }

  const head = {
    title: `Trace ${trace.header.startedAt}`,
    about: aboutOf({ ...trace, events }, cards, payloads),
    warnings: warningsOf(trace, cards),
    found: [...noticesOf(events), ...leftToSay(outcomes)].map(({ card, ...found }) => ({
      ...found,
      text: cards.all.length > 1 ? `${cards.nameOf(card)}: ${found.text}` : found.text,
    })),
    cards: cards.all.map(({ id, description }) => ({
      id,
      name: cards.nameOf(id),
      what: `${description.model}, ${hex4(description.vendorId)}:${hex4(description.deviceId)}`,
      offsetNs: axis.offsetOf(id),
      memory: description.memory,
      faults: description.faults.map(wordDeclared),
    })),
    lanes: lanes.heads,
    registers: registers.heads,
    strings: strings.items,
    kinds: kinds.items,
    facts: facts.items,
    written: written.items,
    eventCount: events.length,
  };
  return { head, columns: { ...columns, touches: Uint32Array.from(touches), abouts: Uint32Array.from(abouts) } };
}

/** The colour in which an event is drawn, and by which it is filtered: that of its kind, if the kind has one. */
function inkOf(event: TraceEvent): Ink {
  if ('channel' in event) return event.role === 'other' ? 'other-dma' : event.role;
  if (event.kind === 'interrupt') return event.phase === 'lowered' ? 'raised' : event.phase;
  if (event.kind === 'end') return 'mark';
  return INKS.find((ink) => ink === event.kind) ?? 'client';
}

const SHOWN_ELSEWHERE = [
  ...['kind', 'card', 'timeNs', 'hostNs', 'region', 'offset', 'iova', 'sizeBytes', 'data'],
  // The words of the event say it.
  ...['text', 'fault', 'what', 'part', 'state', 'dma'],
];

function factsOf(event: TraceEvent): Facts {
  if (event.kind === 'card') return event.description.faults.map((fault) => ['fault declared', wordDeclared(fault)]);
  return Object.entries(event)
    .filter(([name]) => !SHOWN_ELSEWHERE.includes(name))
    .map(([name, value]) => [name, printable(typeof value === 'string' ? value : JSON.stringify(value))]);
}

/** `interrupt-delayed 'late' (vector 0, byNs 2000)`: a fault as it was declared. */
function wordDeclared(declaration: unknown): string {
  const { fault, name, ...rest } = Object(declaration) as Record<string, unknown>;
  const kind = typeof fault === 'string' ? fault : JSON.stringify(fault);
  const details = Object.entries(rest).map(
    ([key, value]) => `${key} ${typeof value === 'string' ? value : JSON.stringify(value)}`,
  );
  const called = typeof name === 'string' ? ` '${name}'` : '';
  return printable(`${kind}${called}${details.length === 0 ? '' : ` (${details.join(', ')})`}`);
}

function writtenHeads(writers: readonly WrittenBytes[], event: DmaEvent): WrittenHead[] {
  if (writers.length === 0) return [];
  return wordWritten(writers, event).map((text, i) => {
    const { iova, end, isDma } = writers[i] ?? {};
    return { text, ...(isDma && { dma: [iova!, end!] }) };
  });
}

function emptyColumns(length: number, payloads: Payloads): Omit<Columns, 'touches' | 'abouts'> {
  return {
    kind: new Uint8Array(length),
    ink: new Uint8Array(length),
    card: new Uint16Array(length),
    lane: new Uint16Array(length),
    deviceNs: new Float64Array(length),
    hostNs: new Float64Array(length),
    what: new Uint32Array(length),
    subject: new Uint32Array(length),
    detail: new Uint32Array(length),
    origin: new Uint32Array(length),
    facts: new Uint32Array(length),
    region: new Int8Array(length),
    address: new Float64Array(length),
    sizeBytes: new Float64Array(length),
    register: new Int32Array(length),
    cause: new Int32Array(length),
    doorbell: new Int32Array(length),
    written: new Uint32Array(length),
    failed: new Uint8Array(length),
    payload: new Int32Array(length),
    payloadAt: payloads.starts,
    payloads: payloads.bytes,
  };
}

function aboutOf({ header, events }: Trace, cards: TraceCards, { cutBytes }: Payloads): [string, string][] {
  const { largestPayloadBytes } = header;
  const largest = largestPayloadBytes === undefined ? '' : `, over ${largestPayloadBytes} bytes as hashes`;
  return [
    ['recorded', header.startedAt],
    ['by', `ghostcard ${header.writer}`],
    ['events', events.length.toLocaleString('en')],
    ['cards', cards.all.map(({ id }) => cards.nameOf(id)).join(', ') || 'none'],
    [
      'DMA payloads',
      `${header.payloads}${largest}${cutBytes === undefined ? '' : `; here, the first ${cutBytes} bytes of each`}`,
    ],
  ];
}

/** What is missing in the trace, and would be taken for something that did not happen. */
const warningsOf = ({ header, isEnded, damage = [] }: Trace, cards: TraceCards): string[] =>
  [...damage.map((each) => `the file is damaged: ${each}`), ...notSeen(header, cards, isEnded)].map(
    (what) => `${what[0]!.toUpperCase()}${what.slice(1)}.`,
  );

type Found = FoundHead & { readonly card: number };

const noticesOf = (events: readonly TraceEvent[]): Found[] =>
  events.flatMap((each, event) =>
    each.kind === 'notice' ? { card: each.card, what: 'notice', text: printable(each.text), event } : [],
  );

/** What is left to say of each card at the end. */
const leftToSay = (outcomes: ReadonlyMap<number, CardOutcome>): Found[] =>
  [...outcomes].flatMap(([card, { located }]) =>
    located.map(([{ text }, event]) => ({ card, what: 'end', text, event })),
  );

const hex4 = (id: number): string => id.toString(16).padStart(4, '0');
