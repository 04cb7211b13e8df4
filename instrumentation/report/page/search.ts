/** Finding events: by what they say, by the name of their card or lane, and by the address that they touch. */
import { type TraceModel } from './model';

/**
 * The events of `among` that have every word of the query in one of their parts. A word in hexadecimal (0x1000) also
 * finds the accesses of that address.
 */
export function find(model: TraceModel, query: string, among: Uint32Array): Uint32Array {
  const tests = query
    .toLowerCase()
    .split(/\s+/)
    .filter(Boolean)
    .map((word) => testOf(model, word));
  if (tests.length === 0) return new Uint32Array();
  return among.filter((event) => tests.every((test) => test(event)));
}

function testOf(model: TraceModel, word: string): (event: number) => boolean {
  const { head, columns } = model;
  const has = (text: string): number => (text.toLowerCase().includes(word) ? 1 : 0);
  // Each text is looked at once, however many events say it.
  const strings = Uint8Array.from(head.strings, has);
  const lanes = Uint8Array.from(head.lanes, ({ card, label }) => has(label) || has(model.cardName(card)));
  const { what, subject, detail, origin, lane, address, sizeBytes } = columns;
  const wanted = /^0x[0-9a-f]+$/.test(word) ? Number(word) : undefined;
  const touches = (event: number): boolean =>
    wanted !== undefined && wanted >= address[event]! && wanted < address[event]! + Math.max(1, sizeBytes[event]!);
  return (event) =>
    strings[what[event]!] === 1 ||
    strings[subject[event]!] === 1 ||
    strings[detail[event]!] === 1 ||
    strings[origin[event]!] === 1 ||
    lanes[lane[event]!] === 1 ||
    touches(event);
}
