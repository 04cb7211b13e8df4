/**
 * A trace for ui.perfetto.dev and chrome://tracing: a process for each card, with threads for its registers, its
 * channels, its interrupts and its states, and arrows from doorbells to the interrupts that answer them.
 *
 * Source: "Trace Event Format" (Chrome); Perfetto documentation, "Other supported trace formats".
 */
import { inOneLine, printable, Region, type Trace, type TraceEvent, valueOf, wordInterrupt } from '../trace';
import { TraceCards } from './card-names';
import { DoorbellAnswers } from './doorbells';
import { AccessOrigins } from './origins';
import { wordEvent } from './words';

/** One object of `traceEvents`; times in microseconds. */
export interface PerfettoEvent {
  readonly name: string;
  /** X: complete, B and E: begin and end, i: instant, C: counter, M: metadata, s and f: flow. */
  readonly ph: 'X' | 'B' | 'E' | 'i' | 'C' | 'M' | 's' | 'f';
  readonly pid: number;
  readonly tid: number;
  readonly ts?: number;
  readonly dur?: number;
  readonly cat?: string;
  readonly id?: number;
  readonly bp?: 'e';
  readonly s?: 'g' | 'p' | 't';
  readonly args?: Record<string, unknown>;
}

/** Whose time an export has. */
export interface PerfettoOptions {
  /** Whose time. Default: the card's, or the host's for a trace of several cards. */
  readonly time?: 'device' | 'host';
}

/** A trace for the viewer Perfetto, as JSON. */
export function exportPerfetto(trace: Pick<Trace, 'header' | 'events'>, options: PerfettoOptions = {}): string {
  return [...perfettoLines(trace, options)].join('\n') + '\n';
}

/** The same line by line; each event is a line. */
export function* perfettoLines(
  { header, events }: Pick<Trace, 'header' | 'events'>,
  options: PerfettoOptions = {},
): Generator<string> {
  const { writer, startedAt } = header;
  yield `{"displayTimeUnit":"ns","otherData":${printable(JSON.stringify({ writer: `ghostcard ${writer}`, startedAt }))},`;
  yield '"traceEvents":[';
  let previous: string | undefined;
  for (const event of perfettoEvents(events, options)) {
    if (previous !== undefined) yield `${previous},`;
    previous = printable(JSON.stringify(event));
  }
  if (previous !== undefined) yield previous;
  yield ']}';
}

/** Events at the same instant are drawn so far apart: Perfetto's finest unit. */
const STEP_NS = 1;

function* perfettoEvents(all: readonly TraceEvent[], options: PerfettoOptions): Generator<PerfettoEvent> {
  const cards = TraceCards.of(all);
  const origins = new AccessOrigins(all, cards);
  const { time = cards.all.length > 1 ? 'host' : 'device' } = options;
  const tracks = new Tracks(cards, origins);
  const answers = new DoorbellAnswers(cards);
  const placed = new Map<TraceEvent, { ts: number; tid: number }>();
  let nowNs = -STEP_NS;
  let flows = 0;
  yield { name: 'process_name', ph: 'M', pid: 0, tid: 0, args: { name: 'run' } };
  for (const event of origins.events) {
    const ownNs = time === 'host' ? event.hostNs : event.card === 0 ? nowNs : event.timeNs;
    nowNs = Math.max(nowNs + STEP_NS, ownNs);
    const ts = nowNs / 1000;
    for (const shown of tracks.show(event, ts)) {
      yield shown;
      if (event.kind === 'write' || event.kind === 'interrupt') placed.set(event, { ts, tid: shown.tid });
    }
    const answer = answers.take(event);
    const [from, to] = [answer && placed.get(answer.doorbell), placed.get(event)];
    if (answer && from && to) {
      const flow = { name: 'answer', cat: 'doorbell', id: ++flows, pid: event.card };
      yield { ...flow, ph: 's', ...from };
      yield { ...flow, ph: 'f', bp: 'e', ...to };
    }
  }
  yield* tracks.finish((nowNs + STEP_NS) / 1000);
}

/** The threads of the cards, created when something happens on them. */
class Tracks {
  readonly #tids = new Map<string, number>();
  /** Slices of states that have not ended. */
  readonly #open = new Map<number, PerfettoEvent>();
  readonly #bytes = new Map<number, number>();

  constructor(
    private readonly cards: TraceCards,
    private readonly origins: AccessOrigins,
  ) {}

  *show(event: TraceEvent, ts: number): Generator<PerfettoEvent> {
    const { card: pid, kind } = event;
    const words = wordEvent(event, this.cards);
    const { what, subject, detail } = words;
    switch (kind) {
      case 'card':
        yield { name: 'process_name', ph: 'M', pid, tid: 0, args: { name: this.cards.nameOf(pid) } };
        return;
      case 'read':
      case 'write': {
        const track = event.region === Region.CONFIG ? 'configuration space' : 'registers';
        const args = { value: `0x${valueOf(event.data).toString(16)}`, detail, by: this.origins.of(event) };
        yield* this.#slice(pid, track, `${kind} ${subject}`, ts, kind, args);
        return;
      }
      case 'dma-read':
      case 'dma-write': {
        const { channel, role, iova, sizeBytes, error } = event;
        const track = `DMA ${channel}`.trim();
        const failed = error === undefined ? '' : ` failed, ${error}`;
        const args = { iova: `0x${iova.toString(16)}`, sizeBytes, role, detail, ...(error && { error }) };
        const name = `${kind === 'dma-read' ? 'reads' : 'writes'} ${role}${failed}`;
        const tid = yield* this.#slice(pid, track, name, ts, 'dma', args);
        if (error !== undefined) return;
        const bytes = (this.#bytes.get(tid) ?? 0) + sizeBytes;
        this.#bytes.set(tid, bytes);
        yield { name: `${track} bytes`, ph: 'C', pid, tid, ts, args: { bytes } };
        return;
      }
      case 'interrupt': {
        const name = `${event.phase}${event.reason ? ` (${event.reason})` : ''}`;
        yield* this.#slice(pid, wordInterrupt(event.index, event.vector), name, ts, 'interrupt', {});
        return;
      }
      case 'state': {
        const tid = yield* this.#track(pid, `state of ${event.part}`);
        yield* this.#close(pid, tid, ts);
        const slice: PerfettoEvent = { name: event.state, ph: 'B', cat: 'state', pid, tid, ts };
        this.#open.set(tid, slice);
        yield slice;
        return;
      }
      case 'map':
      case 'unmap':
      case 'irq-setup':
        yield* this.#slice(pid, 'client', `${what} ${subject}`, ts, kind, { detail });
        return;
      case 'stale':
      case 'task':
      case 'nested':
      case 'end':
        return;
      default: {
        const tid = yield* this.#track(pid, 'marks');
        yield { name: inOneLine(words), ph: 'i', s: pid === 0 ? 'g' : 'p', cat: kind, pid, tid, ts };
      }
    }
  }

  /** Ends the slices that are open. */
  *finish(ts: number): Generator<PerfettoEvent> {
    for (const { name, pid, tid } of this.#open.values()) yield { name, ph: 'E', pid, tid, ts };
  }

  *#close(pid: number, tid: number, ts: number): Generator<PerfettoEvent> {
    const open = this.#open.get(tid);
    if (open) yield { name: open.name, ph: 'E', pid, tid, ts };
  }

  *#slice(
    pid: number,
    track: string,
    name: string,
    ts: number,
    cat: string,
    args: Record<string, unknown>,
  ): Generator<PerfettoEvent, number> {
    const tid = yield* this.#track(pid, track);
    yield { name, ph: 'X', cat, pid, tid, ts, dur: STEP_NS / 1000, args };
    return tid;
  }

  /** The thread's number; a new thread is announced with its name. */
  *#track(pid: number, name: string): Generator<PerfettoEvent, number> {
    const key = `${pid} ${name}`;
    const known = this.#tids.get(key);
    if (known !== undefined) return known;
    const tid = this.#tids.size + 1;
    this.#tids.set(key, tid);
    yield { name: 'thread_name', ph: 'M', pid, tid, args: { name } };
    return tid;
  }
}
