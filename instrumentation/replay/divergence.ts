/** Where a card has done something else than the trace says. */
import { describeTraceEvent, type TraceCards } from '../analysis';
import { placeOf, type TraceEvent } from '../trace';
import { type SeenEvent } from './event-equality';

export interface Difference {
  /** Which of the card's events in the trace it is, from 1 on; and when, in nanoseconds of device time. */
  readonly event: number;
  readonly timeNs: number;
  /** What the trace says; undefined when it says that nothing more happens. */
  readonly expected: TraceEvent | undefined;
  /** What the card did; undefined when it did nothing, or has thrown. */
  readonly seen: SeenEvent | undefined;
  /** What the card has thrown. */
  readonly thrown?: unknown;
  /** More that is known of it. */
  readonly note?: string;
  /** The stimulus that the card was reacting to. */
  readonly cause: TraceEvent | undefined;
  /** The last events before, which were the same. */
  readonly before: readonly TraceEvent[];
}

/** In lines, the events before first. `cards`: the card of the trace, and no other. */
export function describeDifference(difference: Difference, cards: TraceCards): string[] {
  const { expected, seen, thrown, note, cause, before } = difference;
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
function differingFieldsOf(
  expected: TraceEvent & { kind: 'read' | 'write' },
  is: Uint8Array,
  cards: TraceCards,
): string[] {
  const { region, offset, data } = expected;
  const names = cards.names(expected.card);
  const register = names.at(region, offset, data.length);
  if (register === undefined || register.offset > offset) return [];
  const shift = BigInt((offset - register.offset) * 8);
  const [before, now] = [valueOf(data) << shift, valueOf(is) << shift];
  return register.layout.fields.flatMap((field) => {
    const mask = (1n << BigInt(field.width)) - 1n;
    const [a, b] = [(before >> BigInt(field.lsb)) & mask, (now >> BigInt(field.lsb)) & mask];
    const place = placeOf(names, region, register.offset, register.layout.width / 8);
    return a === b ? [] : [`${place}.${field.name}: ${named(field, a)} in the trace, ${named(field, b)} now`];
  });
}

function named(field: { values: readonly { name: string; value: number | bigint }[] }, value: bigint): string {
  const name = field.values.find((known) => BigInt(known.value) === value)?.name;
  return name === undefined ? String(value) : `${value} (${name})`;
}

const hex = (byte: number): string => byte.toString(16).padStart(2, '0');
const valueOf = (data: Uint8Array): bigint => data.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
