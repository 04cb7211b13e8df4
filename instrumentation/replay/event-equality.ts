/** Whether a card did what the trace says: everything in an event counts but its time. */
import { type TraceEvent, type Unstamped } from '../trace';

/** An event as a replay sees it. */
export type SeenEvent = Unstamped;

/** The event with its own copy of the bytes, which are valid during the call only. */
export const kept = <Event extends SeenEvent>(event: Event): Event =>
  'data' in event && event.data ? { ...event, data: event.data.slice() } : event;

const WHEN = new Set(['card', 'timeNs', 'hostNs']);
/** What is known of a DMA access only when it has completed. */
const OUTCOME = new Set([...WHEN, 'data', 'hash', 'error', 'isAsync']);

export const isSame = (a: SeenEvent, b: SeenEvent): boolean => a.kind === b.kind && equalBut(WHEN, a, b);

/** Whether a DMA access is the one in the trace, apart from its bytes and its outcome. */
export const isSameAccess = (event: TraceEvent | undefined, asked: SeenEvent): boolean =>
  event?.kind === asked.kind && equalBut(OUTCOME, event, asked);

function equalBut(ignored: ReadonlySet<string>, a: object, b: object): boolean {
  const [left, right] = [a, b] as Record<string, unknown>[];
  for (const name in left) if (!ignored.has(name) && !isEqual(left[name], right![name])) return false;
  for (const name in right) if (!ignored.has(name) && !(name in left!)) return false;
  return true;
}

function isEqual(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b) === 0;
  return Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((each, i) => each === b[i]);
}
