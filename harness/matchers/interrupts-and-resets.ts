/** `toHaveInterrupted`, `toInterrupt`, which waits, and `toHaveBeenReset`. */
import { type PciCard } from '../../emulator/pci/index.ts';
import { RESET_KINDS, type ResetKind } from '../../emulator/registers/index.ts';
import { type CardTrace, traceOf } from '../../instrumentation/trace/index.ts';
import { recentEvents } from './history.ts';
import { checkCard, DEFAULT_WAIT_MS, reached, type WaitOptions } from './subject.ts';

const MECHANISMS = ['intx', 'msi', 'msix'] as const;
const NAMES = ['INTx', 'MSI', 'MSI-X'];

/** How often an interrupt is expected, and by which mechanism. */
export interface InterruptOptions {
  /** How often; default: at least once. */
  readonly times?: number;
  /** By which mechanism; default: any. */
  readonly by?: 'intx' | 'msi' | 'msix';
}

export function toHaveInterrupted(card: PciCard, vector = 0, options: InterruptOptions = {}) {
  const trace = traceOf(checkCard(card, 'toHaveInterrupted'));
  const { times } = options;
  const count = countOf(trace, vector, options.by);
  const pass = times === undefined ? count > 0 : count === times;
  const wanted = times === undefined ? 'to have interrupted' : `to have interrupted ${timesInWords(times)}`;
  return { pass, message: () => failure(trace, pass, vector, wanted, count, options.by) };
}

/** Waits until there have been `times` interrupts (default 1) or more since the card was plugged in. */
export async function toInterrupt(card: PciCard, vector = 0, options: InterruptOptions & WaitOptions = {}) {
  const trace = traceOf(checkCard(card, 'toInterrupt'));
  const { times = 1, timeoutMs = DEFAULT_WAIT_MS, by } = options;
  const pass = await reached(trace, () => countOf(trace, vector, by) >= times, timeoutMs);
  const wanted = `to interrupt ${timesInWords(times)} within ${timeoutMs} ms`;
  return { pass, message: () => failure(trace, pass, vector, wanted, countOf(trace, vector, by), by) };
}

function countOf(trace: CardTrace, vector: number, by: InterruptOptions['by']): number {
  return MECHANISMS.reduce((sum, mechanism, index) => {
    return by === undefined || by === mechanism ? sum + (trace.interrupts(index)[vector] ?? 0) : sum;
  }, 0);
}

function failure(
  trace: CardTrace,
  pass: boolean,
  vector: number,
  wanted: string,
  count: number,
  by: InterruptOptions['by'],
): string {
  const mechanism = by === undefined ? '' : ` of ${NAMES[MECHANISMS.indexOf(by)]}`;
  const subject = `vector ${vector}${mechanism}`;
  const said = pass
    ? `expected ${subject} not ${wanted}, it did ${timesInWords(count)}`
    : `expected ${subject} ${wanted}, it did ${count === 0 ? 'not' : `${timesInWords(count)}`}`;
  return `${said}; ${allInterrupts(trace)}${recentEvents(trace)}`;
}

/** The interrupts so far, or why there could be none. */
function allInterrupts(trace: CardTrace): string {
  const counts = NAMES.flatMap((name, index) =>
    trace
      .interrupts(index)
      .flatMap((count, vector) => (count ? [`${name} vector ${vector} (${timesInWords(count)})`] : [])),
  );
  const connected = NAMES.flatMap((name, index) => {
    const vectors = trace.connectedVectors(index);
    return vectors.length === 0 ? [] : [`${name} ${ranges(vectors)}`];
  });
  const so = counts.length === 0 ? 'there was no interrupt' : `there were ${counts.join(', ')}`;
  const can = connected.length === 0 ? 'the driver has connected no vector' : `connected are ${connected.join(', ')}`;
  return `${so}; ${can}`;
}

/** 0, 1, 2, 3, 7 -> `0-3, 7` */
function ranges(vectors: readonly number[]): string {
  const parts: [first: number, last: number][] = [];
  for (const vector of vectors) {
    const open = parts.at(-1);
    if (open && open[1] === vector - 1) open[1] = vector;
    else parts.push([vector, vector]);
  }
  return parts.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(', ');
}

const timesInWords = (count: number): string => (count === 1 ? 'once' : `${count} times`);

export function toHaveBeenReset(card: PciCard, by?: ResetKind) {
  const trace = traceOf(checkCard(card, 'toHaveBeenReset'));
  const pass = RESET_KINDS.some((kind) => (by === undefined || by === kind) && trace.resets(kind) > 0);
  const what = by === undefined ? 'reset' : `reset (${by})`;
  const kinds = RESET_KINDS.filter((kind) => trace.resets(kind) > 0).map((kind) => `${kind} ${trace.resets(kind)}`);
  const seen = `resets so far: ${kinds.join(', ') || 'none'}`;
  return {
    pass,
    message: () => `expected the card ${pass ? 'not ' : ''}to have been ${what}; ${seen}${recentEvents(trace)}`,
  };
}
