/**
 * The file: MessagePack values one after the other. The first is the header, a map; each that follows is a block, an
 * array of events. An event is an array: the code of its kind, card, device time, host time (both in nanoseconds), then
 * the values of its fields. Kinds and fields are in `kinds.ts`, and in docs/tracing.md; `event-block.ts` writes events.
 */
import { encode } from 'msgpack-lite';
import { type TraceEvent, type TraceEventKind } from './event';
import { type Field } from './fields';
import { KINDS, TRACE_EVENT_KINDS } from './kinds';

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

/** Throws TraceFormatError when `value`, the first of a file, is not a header that this version can read. */
export function headerOf(value: unknown, file: string): TraceHeader {
  const header = value as Partial<TraceHeader> | null;
  if (typeof header !== 'object' || header?.format !== FORMAT) {
    throw new TraceFormatError(`${file} is not a ghostcard trace: it does not begin with the header of one`);
  }
  if (header.version !== FORMAT_VERSION) {
    throw new TraceFormatError(
      `${file} is a trace of version ${String(header.version)}, written by ghostcard ${header.writer}; this ghostcard ` +
        `reads version ${FORMAT_VERSION}: use the one that wrote it`,
    );
  }
  return header as TraceHeader;
}

/** A file that is no trace, or one of another version. */
export class TraceFormatError extends Error {
  override readonly name = 'TraceFormatError';
}

/** Throws TraceFormatError when `block` is not a block of events. */
export function decodeEvents(block: unknown): TraceEvent[] {
  if (!Array.isArray(block)) throw new TraceFormatError('this is not a block of events');
  return block.map(eventOf);
}

function eventOf(values: unknown): TraceEvent {
  if (!Array.isArray(values)) throw new TraceFormatError('this is not an event');
  const [code, card, timeNs, hostNs] = values as number[];
  const layout = BY_CODE[code!];
  if (layout === undefined)
    throw new TraceFormatError(`an event is of kind ${code}; this ghostcard knows 0 to ${BY_CODE.length - 1}`);
  const event: Record<string, unknown> = { kind: layout.kind, card, timeNs, hostNs };
  let at = STAMP_VALUES;
  for (const { name, values: taken, read } of layout.columns) {
    const value = read(values, at);
    if (value !== undefined) event[name] = value;
    at += taken;
  }
  return event as unknown as TraceEvent;
}
