/**
 * The file: MessagePack values one after the other. The first is the header, a map; each that follows is a block, an
 * array of events. An event is an array: the code of its kind, card, device time, host time (both in nanoseconds), then
 * the values of its fields. Kinds and fields are in `kinds.ts`, and in docs/tracing.md; `event-block.ts` writes events.
 */
import { encode } from 'msgpack-lite';
import { type TraceEvent, type TraceEventKind } from './event';
import { type Field } from './fields';
import { KINDS, TRACE_EVENT_KINDS } from './kinds';
import { isWhole, mapOf, maybe, oneOf, Problems, type Shape, someText, whole } from './shapes';

export const FORMAT = 'ghostcard-trace' satisfies TraceHeader['format'];
export const FORMAT_VERSION = 1;

/** What is recorded of the contents of DMA. */
export type Payloads = 'full' | 'hash' | 'none';
export const PAYLOADS = ['full', 'hash', 'none'] as const satisfies readonly Payloads[];

/** What a trace begins with. */
export interface TraceHeader {
  readonly format: 'ghostcard-trace';
  readonly version: number;
  /** The version of ghostcard that wrote it. */
  readonly writer: string;
  /** When the recording began: ISO 8601, UTC. */
  readonly startedAt: string;
  readonly payloads: Payloads;
  /** Larger payloads are recorded as hashes (ring mode). Left out: there is no limit. */
  readonly largestPayloadBytes?: number;
  /** How many events at the beginning are lost (ring mode); 0 for a whole trace. */
  readonly lostEvents: number;
  /** How many events at the beginning repeat earlier ones, the cards: of a file that continues another (ring mode). */
  readonly repeatedEvents?: number;
}

/** A trace that has been read as a whole. */
export interface Trace {
  readonly header: TraceHeader;
  readonly events: readonly TraceEvent[];
  /** The recording was closed; otherwise the run was killed, or is still going on. */
  readonly isEnded: boolean;
  /** What of the file is damaged and could not be read, a sentence each; left out: nothing. Notices among the events say where. */
  readonly damage?: readonly string[];
}

/** How events of a kind lie in the file. */
interface Layout {
  readonly kind: TraceEventKind;
  readonly code: number;
  /** How many values the fields take. */
  readonly values: number;
  readonly columns: readonly (Field<unknown> & { readonly name: string })[];
}

function layoutOf(kind: TraceEventKind): Layout {
  const { code, fields } = KINDS[kind];
  const columns = Object.entries(fields as unknown as Record<string, Field<unknown>>).map(([name, field]) => ({
    name,
    ...field,
  }));
  return { kind, code, values: columns.reduce((sum, { values }) => sum + values, 0), columns };
}

const BY_CODE = TRACE_EVENT_KINDS.map(layoutOf);
export const LAYOUTS = Object.fromEntries(BY_CODE.map((layout) => [layout.kind, layout])) as Record<
  TraceEventKind,
  Layout
>;
/** What stands before the fields: code, card and times. */
export const STAMP_VALUES = 4;

export const encodeHeader = (header: TraceHeader): Buffer => encode(header);

const headerShape: Shape<TraceHeader> = mapOf<TraceHeader>({
  format: oneOf([FORMAT]),
  version: whole(),
  ...{ writer: someText, startedAt: someText, payloads: oneOf(PAYLOADS) },
  largestPayloadBytes: maybe(whole()) as Shape<number>,
  lostEvents: whole(Number.MAX_SAFE_INTEGER),
  repeatedEvents: maybe(whole(Number.MAX_SAFE_INTEGER)) as Shape<number>,
});

/**
 * The header, and what is damaged in it. Throws TraceFormatError when `value`, the first of a file, is not a header that
 * this version can read.
 */
export function headerOf(value: unknown, file: string): { header: TraceHeader; problems: readonly string[] } {
  const given = value as Partial<TraceHeader> | null;
  if (typeof given !== 'object' || given?.format !== FORMAT) {
    throw new TraceFormatError(`${file} is not a ghostcard trace: it does not begin with the header of one`);
  }
  if (given.version !== FORMAT_VERSION) {
    const writer = typeof given.writer === 'string' ? `, written by ghostcard ${given.writer}` : '';
    throw new TraceFormatError(
      `${file} is a trace of version ${JSON.stringify(given.version)}${writer}; this ghostcard reads version ` +
        `${FORMAT_VERSION}: use the one that wrote it`,
    );
  }
  const problems = new Problems();
  return {
    header: headerShape(value, problems, ''),
    problems: problems.found.map((found) => found.replace(/^\./, '')),
  };
}

/** A file that is no trace, or one of another version. */
export class TraceFormatError extends Error {
  override readonly name = 'TraceFormatError';
}

/** An event as it was read. */
export interface ReadEvent {
  /** Undefined when it is damaged. A card is named by what is left of its description. */
  readonly event: TraceEvent | undefined;
  /** As far as it is known. */
  readonly kind: TraceEventKind | undefined;
  /** What is damaged in it; none: nothing. */
  readonly problems: readonly string[];
  /** A damaged size has made events that follow a part of it. */
  readonly mayHoldOthers: boolean;
}

const WHOLE = { problems: [], mayHoldOthers: false } as const;
let problems = new Problems();
/** In nanoseconds: 290 years. */
const MOST_TIME = 2 ** 63;
const isTime = (value: unknown): boolean => typeof value === 'number' && value >= 0 && value <= MOST_TIME;
const TIME = `a number of nanoseconds from 0 to ${MOST_TIME}`;

/** An event by the values of its array. */
export function eventOf(values: readonly unknown[]): ReadEvent {
  const [code, card, timeNs, hostNs] = values;
  const layout = BY_CODE[code as number];
  if (typeof code !== 'number' || layout === undefined) {
    problems.field = 'its kind';
    problems.wrong(code, `a code that this ghostcard knows, 0 to ${BY_CODE.length - 1}`);
    return { event: undefined, kind: undefined, ...taken() };
  }
  const { kind, columns } = layout;
  if (!isWhole(card)) stampProblem('card', card, 'a whole number');
  if (!isTime(timeNs)) stampProblem('timeNs', timeNs, TIME);
  if (!isTime(hostNs)) stampProblem('hostNs', hostNs, TIME);
  const event: Record<string, unknown> = { kind, card, timeNs, hostNs };
  const isStamped = problems.found.length === 0;
  let at = STAMP_VALUES;
  for (const { name, values: taken, read } of columns) {
    problems.field = name;
    const value = read(values, at, problems);
    if (value !== undefined) event[name] = value;
    at += taken;
  }
  // A later ghostcard may add values, but no arrays.
  const swallowed = values.slice(at).find(Array.isArray);
  if (swallowed) stampProblem('a value beyond its last', swallowed, 'none');
  const isWholeEvent = problems.found.length === 0;
  const isKept = isWholeEvent || (kind === 'card' && isStamped);
  return {
    event: isKept ? (event as unknown as TraceEvent) : undefined,
    kind,
    ...(isWholeEvent ? WHOLE : taken()),
  };
}

function stampProblem(field: string, seen: unknown, expected: string): void {
  problems.field = field;
  problems.wrong(seen, expected);
}

function taken(): Pick<ReadEvent, 'problems' | 'mayHoldOthers'> {
  const { found, isOfArray } = problems;
  problems = new Problems();
  return { problems: found, mayHoldOthers: isOfArray };
}

/** Whether an event begins with these two bytes: of an array, and of the code of its kind. */
export function beginsEvent(head: number, code: number): boolean {
  const layout = BY_CODE[code];
  return layout !== undefined && head === (0x90 | (STAMP_VALUES + layout.values));
}

/** Whether an array begins with this byte that may be an event. */
export const mayBeEvent = (head: number): boolean => head >= (0x90 | STAMP_VALUES) && head < 0xa0;
