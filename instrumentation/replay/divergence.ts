/** Where a card diverges from its trace. */
import { type FieldLayout } from '../../emulator/registers';
import { describeTraceEvent, type TraceCards } from '../analysis';
import { type AccessEvent, fieldValue, nameOfValue, placeOf, type TraceEvent, type Unstamped, valueOf } from '../trace';
import { type SeenEvent } from './event-equality';

/** The first event of a replay that is not as it was recorded. */
export interface Divergence {
  /** Which of the card's events in the trace it is, from 1 on; and when, in nanoseconds of device time. */
  readonly event: number;
  readonly timeNs: number;
  /** What the trace says; undefined at its end. */
  readonly expected: TraceEvent | undefined;
  /** What the card did; undefined when it did nothing, or threw an error. */
  readonly seen: Unstamped | undefined;
  /** What the card threw. */
  readonly thrown?: unknown;
  /** What else is known. */
  readonly note?: string;
  /** The stimulus that the card was reacting to. */
  readonly cause: TraceEvent | undefined;
  /** The last events before it, which were the same. */
  readonly before: readonly TraceEvent[];
}

/** In lines, the events before it first. `cards`: the card of the trace, and no other. */
export function describeDivergence(divergence: Divergence, cards: TraceCards): string[] {
  const { expected, seen, thrown, note, cause, before } = divergence;
  const card = cards.all[0]!.id;
  const say = (event: SeenEvent) => describeTraceEvent({ hostNs: 0, ...event, card } as TraceEvent, cards).trim();
  const lines = before.map((event) => `    ${describeTraceEvent(event, cards)}`);
  if (thrown !== undefined) {
    lines.push(`  the card has thrown: ${thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)}`);
  } else {
    lines.push(`  - trace: ${expected ? say(expected) : 'nothing more'}`);
    lines.push(`  + card:  ${seen ? say(seen) : 'nothing'}`);
    if (expected && seen) lines.push(...detailsOf(expected, seen, cards).map((detail) => `    ${detail}`));
  }
  if (cause && cause !== expected) lines.push(`    while it reacted to: ${say(cause)}`);
  if (note !== undefined) lines.push(`    ${note}`);
  return lines;
}

function detailsOf(expected: TraceEvent, seen: SeenEvent, cards: TraceCards): string[] {
  if (expected.kind !== seen.kind || !('data' in expected) || !('data' in seen)) return [];
  const [was, is] = [expected.data, seen.data];
  if (was === undefined || is === undefined || was.length !== is.length || Buffer.compare(was, is) === 0) return [];
  if (expected.kind === 'read') return differingFieldsOf(expected, is, cards);
  const at = was.findIndex((byte, i) => byte !== is[i]);
  const count = was.filter((byte, i) => byte !== is[i]).length;
  return [
    `${count} of ${was.length} bytes differ, the first at +0x${at.toString(16)}: ${hex(was[at]!)}, ${hex(is[at]!)}`,
  ];
}

/** `H2C[0].STATUS.BUSY: 1 in the trace, 0 now` */
function differingFieldsOf(expected: AccessEvent, is: Uint8Array, cards: TraceCards): string[] {
  const { region, offset, data } = expected;
  const names = cards.names(expected.card);
  const register = names.at(region, offset, data.length);
  if (register === undefined || register.offset > offset) return [];
  const shift = BigInt((offset - register.offset) * 8);
  const [before, now] = [valueOf(data) << shift, valueOf(is) << shift];
  const place = placeOf(names, region, register.offset, register.layout.width / 8);
  return register.layout.fields.flatMap((field) => {
    const [a, b] = [fieldValue(field, before), fieldValue(field, now)];
    return a === b ? [] : [`${place}.${field.name}: ${named(field, a)} in the trace, ${named(field, b)} now`];
  });
}

function named(field: FieldLayout, value: bigint): string {
  const name = nameOfValue(field, value);
  return name === undefined ? String(value) : `${value} (${name})`;
}

const hex = (byte: number): string => byte.toString(16).padStart(2, '0');
