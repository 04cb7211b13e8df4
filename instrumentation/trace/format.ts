/**
 * The file: msgpack values one after the other. The first is the header, a map; each that follows is an array of events,
 * and an event is an array: [code of its kind, card, device time, host time, what the kind says below]. Written by
 * `event-block.ts`.
 *
 * Layout of version 1, values in the order of the array; times in nanoseconds; `bin` is msgpack's byte string:
 *
 *     read, write          region, offset, size, value: a number up to 4 bytes, bin beyond
 *     dma-read, dma-write  channel, role, IOVA, size, payload: bin | hash: str | nil, error: str | nil, asynchronous: bool
 *     map                  IOVA, size, readable, writable
 *     unmap                IOVA, size
 *     irq-setup            index, start, count, action, vectors: array of bool | nil
 *     interrupt            phase, index, vector, reason: str | nil
 *     reset                kind
 *     state                part, state
 *     fault                name, what
 *     mark                 from, text
 *     notice               text
 *     card                 the description, a map; reset values of registers as hexadecimal text
 *     stale                size
 *     task, nested, link-down, connected, disconnected, end    nothing
 */
import { encode } from 'msgpack-lite';
import { type RegisterLayout } from '../../emulator/registers';
import { type CardDescription } from './card-description';
import { type TraceEvent, type TraceEventKind } from './event';

export const FORMAT = 'ghostcard-trace';
export const FORMAT_VERSION = 1;

/** How DMA payloads are recorded. */
export const PAYLOADS = ['full', 'hash', 'none'] as const;
export type Payloads = (typeof PAYLOADS)[number];

export interface TraceHeader {
  readonly format: typeof FORMAT;
  readonly version: number;
  /** Of ghostcard, which wrote it. */
  readonly writer: string;
  /** When the recording began: ISO 8601, UTC. */
  readonly startedAt: string;
  readonly payloads: Payloads;
  /** Payloads of more bytes are recorded by hash (ring mode). Left out: there is no limit. */
  readonly largestPayloadBytes?: number;
  /** How many events of the beginning are not there any more (ring mode); 0 for a whole trace. */
  readonly lostEvents: number;
  /** Of a file that goes on where another was full (ring mode): its first events, which are told again: the cards. */
  readonly repeatedEvents?: number;
}

/** By code. Kinds are added at the end; a change of what is here is a new version. */
export const TRACE_EVENT_KINDS = [
  'card',
  'read',
  'write',
  'dma-read',
  'dma-write',
  'map',
  'unmap',
  'irq-setup',
  'interrupt',
  'reset',
  'state',
  'task',
  'link-down',
  'connected',
  'disconnected',
  'fault',
  'mark',
  'notice',
  'end',
  'stale',
  'nested',
] as const satisfies readonly TraceEventKind[];
export const codeOf = Object.fromEntries(TRACE_EVENT_KINDS.map((kind, code) => [kind, code])) as Record<
  TraceEventKind,
  number
>;

export const encodeHeader = (header: TraceHeader): Buffer => encode(header);

/** Throws TraceFormatError when `value`, the first of a file, is no header that this version can read. */
export function headerOf(value: unknown, file: string): TraceHeader {
  const header = value as Partial<TraceHeader> | null;
  if (typeof header !== 'object' || header?.format !== FORMAT) {
    throw new TraceFormatError(`${file} is no trace of ghostcard: it does not begin with the header of one`);
  }
  if (header.version !== FORMAT_VERSION) {
    throw new TraceFormatError(
      `${file} is a trace of version ${String(header.version)}, written by ghostcard ${header.writer}; this ghostcard ` +
        `reads version ${FORMAT_VERSION}: use the one that wrote it`,
    );
  }
  return header as TraceHeader;
}

export class TraceFormatError extends Error {
  override readonly name = 'TraceFormatError';
}

/** Throws TraceFormatError when `block` is none. */
export function decodeEvents(block: unknown): TraceEvent[] {
  if (!Array.isArray(block)) throw new TraceFormatError('what is there is no block of events');
  return block.map(eventOf);
}

function eventOf(row: unknown): TraceEvent {
  if (!Array.isArray(row)) throw new TraceFormatError('what is there is no event');
  const [code, card, timeNs, hostNs, ...rest] = row as [number, number, number, number, ...unknown[]];
  const kind = TRACE_EVENT_KINDS[code];
  if (kind === undefined)
    throw new TraceFormatError(
      `an event is of kind ${code}; this ghostcard knows 0 to ${TRACE_EVENT_KINDS.length - 1}`,
    );
  return { kind, card, timeNs, hostNs, ...fieldsOf(kind, rest) } as TraceEvent;
}

function fieldsOf(kind: TraceEventKind, rest: readonly unknown[]): object {
  const [a, b, c, d, e, f, g] = rest;
  switch (kind) {
    case 'read':
    case 'write':
      return { region: a, offset: b, data: unpacked(c as number, d) };
    case 'dma-read':
    case 'dma-write':
      return {
        ...{ channel: a, role: b, iova: c, sizeBytes: d },
        ...(typeof e === 'string' ? { hash: e } : e !== null && { data: e }),
        ...(f !== null && { error: f }),
        ...(g === true && { isAsync: true }),
      };
    case 'map':
      return { iova: a, sizeBytes: b, readable: c, writable: d };
    case 'unmap':
      return { iova: a, sizeBytes: b };
    case 'irq-setup':
      return { index: a, start: b, count: c, action: d, ...(e !== null && { vectors: e }) };
    case 'interrupt':
      return { phase: a, index: b, vector: c, ...(d !== null && { reason: d }) };
    case 'reset':
      return { reset: a };
    case 'stale':
      return { sizeBytes: a };
    case 'state':
      return { part: a, state: b };
    case 'fault':
      return { fault: a, what: b };
    case 'mark':
      return { from: a, text: b };
    case 'notice':
      return { text: a };
    case 'card':
      return { description: unpackedDescription(a as PackedDescription) };
    case 'task':
    case 'nested':
    case 'link-down':
    case 'connected':
    case 'disconnected':
    case 'end':
      return {};
  }
}

function unpacked(sizeBytes: number, value: unknown): Uint8Array {
  if (typeof value !== 'number') return value as Uint8Array;
  return Uint8Array.from({ length: sizeBytes }, (_, i) => (value / 256 ** i) & 0xff);
}

/** What msgpack cannot say in full: numbers beyond 2^53. */
interface PackedDescription extends Omit<CardDescription, 'registers'> {
  readonly registers: readonly {
    readonly name: string;
    readonly region: number;
    readonly offset: number;
    readonly registers: readonly (Omit<RegisterLayout, 'reset'> & { readonly reset: string })[];
  }[];
}

export function packedDescription(description: CardDescription): PackedDescription {
  return {
    ...description,
    registers: description.registers.map((space) => ({
      ...space,
      registers: space.registers.map((register) => ({ ...register, reset: register.reset.toString(16) })),
    })),
  };
}

function unpackedDescription(description: PackedDescription): CardDescription {
  return {
    ...description,
    registers: description.registers.map((space) => ({
      ...space,
      registers: space.registers.map((register) => ({ ...register, reset: BigInt(`0x${register.reset}`) })),
    })),
  };
}
