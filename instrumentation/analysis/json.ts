/** Events as JSON: what the trace holds, with the names that its register maps have for it. */
import { type FieldLayout } from '../../emulator/registers';
import {
  type AccessEvent,
  type DecodedStructure,
  decodeStructures,
  type DmaEvent,
  fieldValue,
  inOneLine,
  nameOfValue,
  type TraceEvent,
  valueOf,
  withResets,
} from '../trace';
import { type TraceCards } from './card-names';
import { wordEvent } from './words';

/**
 * A plain object: the fields of the event, bytes as hexadecimal text; of an access that is a whole register's, its name
 * in `register`, its value as hexadecimal text in `value`, and its `fields`, by name; what `trace show` prints, in
 * `text`.
 */
export function eventToJson(event: TraceEvent, cards: TraceCards): Record<string, unknown> {
  return {
    ...event,
    ...('data' in event && event.data && { data: Buffer.from(event.data).toString('hex') }),
    ...('region' in event && registerOf(event, cards)),
    ...('channel' in event && structuresOf(event, cards)),
    ...(event.kind === 'card' && { description: withResets(event.description, (reset) => `0x${reset.toString(16)}`) }),
    text: inOneLine(wordEvent(event, cards)),
  };
}

function registerOf({ card, region, offset, data }: AccessEvent, cards: TraceCards): object {
  const register = cards.names(card).at(region, offset, data.length);
  if (register?.offset !== offset || register.layout.width !== data.length * 8) return {};
  const value = valueOf(data);
  const fields = register.layout.fields.map((field) => [field.name, fieldJson(field, value)] as const);
  return { register: register.name, value: `0x${value.toString(16)}`, fields: Object.fromEntries(fields) };
}

/** What the access carries of the structures that the card declares, word by word. */
function structuresOf({ card, channel, role, iova, data }: DmaEvent, cards: TraceCards): object {
  const layout = cards.names(card).channels.layoutOf(channel, role);
  if (layout === undefined || data === undefined) return {};
  const structures = decodeStructures(layout, iova, data).map(({ words }) =>
    Object.fromEntries(words.map((word) => [word.layout.name, wordJson(word)])),
  );
  return structures.length === 0 ? {} : { structures };
}

function wordJson({ layout: { fields }, value }: DecodedStructure['words'][number]): object {
  const held = fields.map((field) => [field.name, fieldJson(field, value)] as const);
  return { value: `0x${value.toString(16)}`, ...(held.length > 0 && { fields: Object.fromEntries(held) }) };
}

/** The name of the field's value if it has one; a number, or, where that is not exact, hexadecimal text. */
function fieldJson(field: FieldLayout, value: bigint): string | number {
  const held = fieldValue(field, value);
  return nameOfValue(field, held) ?? (held <= Number.MAX_SAFE_INTEGER ? Number(held) : `0x${held.toString(16)}`);
}
