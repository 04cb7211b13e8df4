/**
 * A trace as a value change dump, for waveform viewers: registers and fields with their last value on the bus, DMA by
 * channel, interrupts, states and marks.
 *
 * A card does many things at one instant of device time. They are written one picosecond apart, in order.
 */
import {
  type NamedRegister,
  printable,
  Region,
  type TraceEvent,
  type TraceHeader,
  valueOf,
  wordMechanism,
} from '../trace';
import { TraceCards } from './card-names';
import { changeOf, VcdDeclarations, type VcdSignal, type VcdType } from './vcd-writer';

/** Whose time an export has. */
export interface VcdOptions {
  /** Whose time. Default: the card's, or the host's for a trace of several cards, whose times are unrelated. */
  readonly time?: 'device' | 'host';
}

/** A signal and its new value; an event has none. */
type Change = readonly [VcdSignal, (bigint | string)?];

/** A trace as a value change dump (IEEE 1364), for waveform viewers. */
export function exportVcd(
  trace: { readonly header: TraceHeader; readonly events: readonly TraceEvent[] },
  options: VcdOptions = {},
): string {
  return [...vcdLines(trace, options)].join('\n') + '\n';
}

/** The same line by line. */
export function* vcdLines(
  { header, events }: { readonly header: TraceHeader; readonly events: readonly TraceEvent[] },
  options: VcdOptions = {},
): Generator<string> {
  const cards = TraceCards.of(events);
  const { time = cards.all.length > 1 ? 'host' : 'device' } = options;
  const signals = new Signals(cards);
  for (const event of events) signals.changes(event); // declares the signals
  yield `$date ${printable(header.startedAt)} $end`;
  yield `$version ghostcard ${printable(header.writer)} $end`;
  yield `$comment times are those of the ${time}; what happens at one instant is 1 ps apart $end`;
  yield '$timescale 1 ps $end';
  yield* signals.declarations.lines();
  yield* timed(events, signals, time);
}

const PS_PER_NS = 1000n;

function* timed(events: readonly TraceEvent[], signals: Signals, time: 'device' | 'host'): Generator<string> {
  const values = new Map<VcdSignal, bigint | string | undefined>(signals.initial);
  const at = function* (time: bigint, changes: readonly Change[]): Generator<string> {
    const real = changes.filter(([signal, value]) => signal.type === 'event' || values.get(signal) !== value);
    if (real.length > 0) yield `#${time}`;
    for (const [signal, value] of real) {
      values.set(signal, value);
      yield changeOf(signal, value);
    }
  };
  yield '#0';
  yield '$dumpvars';
  for (const [signal, value] of signals.initial) yield changeOf(signal, value);
  yield '$end';
  let now = 0n;
  let latestNs = 0;
  let ends: readonly Change[] = [];
  for (const event of events) {
    const changes = signals.changes(event);
    if (changes.length === 0) continue;
    // An event of no card has no device time: it gets that of the event before it.
    const own = time === 'host' ? event.hostNs : event.card === 0 ? latestNs : event.timeNs;
    latestNs = Math.max(latestNs, own);
    const from = BigInt(Math.round(latestNs)) * PS_PER_NS;
    if (ends.length > 0 && from > now + 1n) {
      yield* at(++now, ends);
      ends = [];
    }
    const still = new Set(changes.map(([signal]) => signal));
    now = from > now ? from : now + 1n;
    yield* at(now, [...ends.filter(([signal]) => !still.has(signal)), ...changes]);
    ends = signals.ends(event);
  }
  if (ends.length > 0) yield* at(++now, ends);
}

/** The signals of a trace, and how events change them. */
class Signals {
  readonly declarations = new VcdDeclarations();
  /** Values before the first event; those of other signals are unknown. */
  readonly initial = new Map<VcdSignal, bigint>();
  readonly #scopes = new Map<number, string>();

  constructor(private readonly cards: TraceCards) {
    for (const { id, description } of cards.all) {
      const isAlone = cards.all.every((card) => card.id === id || card.description.name !== description.name);
      this.#scopes.set(id, isAlone ? description.name : `${description.name}_${id}`);
    }
  }

  changes(event: TraceEvent): readonly Change[] {
    switch (event.kind) {
      case 'read':
      case 'write': {
        const touched = this.cards.names(event.card).touched(event.region, event.offset, event.data.length);
        return touched.flatMap((register) => this.#registerChanges(event, register));
      }
      case 'dma-read':
      case 'dma-write': {
        const of = (name: string, type: VcdType, bits?: number) =>
          this.#signal(event.card, ['dma', event.channel || 'card', name], type, bits);
        return [
          [this.#level(of('busy', 'wire')), 1n],
          [of('address', 'wire', 64), BigInt(event.iova)],
          [of('bytes', 'wire', 32), BigInt(event.sizeBytes)],
          [of('role', 'string'), event.role],
          event.error === undefined
            ? [of(event.kind === 'dma-read' ? 'read' : 'write', 'event')]
            : [of('error', 'string'), event.error],
        ];
      }
      case 'interrupt': {
        const { phase, index, vector, reason } = event;
        const message = `${wordMechanism(index).replace('-', '')}_${vector}`;
        const of = (name: string, type: VcdType) =>
          this.#signal(event.card, ['interrupts', index === 0 ? 'INTx' : message, name], type);
        if (index === 0 && (phase === 'raised' || phase === 'lowered')) {
          return [[this.#level(of('level', 'wire')), phase === 'raised' ? 1n : 0n]];
        }
        return [[of(phase, 'event')], ...(reason ? ([[of('reason', 'string'), reason]] as const) : [])];
      }
      case 'state':
        return [[this.#signal(event.card, ['state', event.part], 'string'), event.state]];
      case 'link-down':
        return [[this.#signal(event.card, ['state', 'link'], 'string'), 'down']];
      case 'connected':
      case 'disconnected':
        return [[this.#signal(event.card, ['state', 'client'], 'string'), event.kind]];
      case 'reset':
        return [
          [this.#signal(event.card, ['reset'], 'event')],
          [this.#signal(event.card, ['reset_kind'], 'string'), event.reset],
        ];
      case 'fault':
        return [[this.#signal(event.card, ['fault'], 'string'), event.fault]];
      case 'mark':
      case 'notice':
        return [
          [this.#signal(event.card, [event.kind], 'event')],
          [this.#signal(event.card, [`${event.kind}_text`], 'string'), event.text],
        ];
      default:
        return [];
    }
  }

  /** The changes at the end of the event. */
  ends(event: TraceEvent): readonly Change[] {
    if (event.kind !== 'dma-read' && event.kind !== 'dma-write') return [];
    return [[this.#signal(event.card, ['dma', event.channel || 'card', 'busy'], 'wire'), 0n]];
  }

  #registerChanges(event: TraceEvent & { data: Uint8Array; offset: number }, register: NamedRegister): Change[] {
    const { layout, region, structure } = register;
    const space = region === Region.CONFIG ? 'config' : 'registers';
    const path = [space, ...(structure === '' ? [] : [structure]), ...layout.path.split('.')];
    const of = (name: string, type: VcdType, bits?: number) => this.#signal(event.card, [...path, name], type, bits);
    const happens: Change = [of(event.kind, 'event')];
    const from = register.offset - event.offset;
    const bytes = event.data.subarray(Math.max(from, 0), from + layout.width / 8);
    if (bytes.length * 8 < layout.width) return [happens]; // a part of the value: the whole is not known
    const value = valueOf(bytes);
    return [
      happens,
      [of('value', 'wire', layout.width), value],
      ...layout.fields.map((field): Change => [of(field.name, 'wire', field.width), value >> BigInt(field.lsb)]),
    ];
  }

  #signal(card: number, path: readonly string[], type: VcdType, bits = 1): VcdSignal {
    const scope = card === 0 ? 'run' : (this.#scopes.get(card) ?? `card_${card}`);
    return this.declarations.signal([scope, ...path], type, bits);
  }

  /** A signal that is 0 at first. */
  #level(signal: VcdSignal): VcdSignal {
    this.initial.set(signal, 0n);
    return signal;
  }
}
