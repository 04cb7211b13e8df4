/** Events of a trace in words: in parts, for tables and lanes, or as one line. */
import {
  type AccessEvent,
  type DmaEvent,
  type IrqSetupEvent,
  type TraceEvent,
  wordAccess,
  wordInterrupt,
  wordMechanism,
  wordRange,
  wordReset,
  wordTime,
} from '../trace';
import { type TraceCards } from './card-names';

export interface EventWords {
  /** What happened: `write`, `DMA reads`, `interrupt raised`, `state`. */
  readonly what: string;
  /** To what, or by whom: `H2C[0].DOORBELL`, `64 bytes at 0x1000`, `MSI-X vector 0`, `H2C0`. '' where `what` says it all. */
  readonly subject: string;
  /** The rest: `0x00000001 (INDEX=1)`, `(H2C0, descriptor): 01 00 00 …`, `(masked)`, `running`. May be ''. */
  readonly detail: string;
}

/**
 * `   12.345 us  write H2C[0].DOORBELL 0x00000001 (INDEX=1)`; names the card when the trace has several. The time is left
 * blank for what belongs to no card, since device time is a card's.
 */
export const describeTraceEvent = (event: TraceEvent, cards: TraceCards): string =>
  `${wordEventTime(event)}  ${describeWithoutTime(event, cards)}`;

export const wordEventTime = ({ card, timeNs }: TraceEvent): string =>
  card === 0 ? ' '.repeat(wordTime(0).length) : wordTime(timeNs);

/** `write H2C[0].DOORBELL 0x00000001 (INDEX=1)` */
export function describeWithoutTime(event: TraceEvent, cards: TraceCards): string {
  const { what, subject, detail } = wordEvent(event, cards);
  const card = event.card !== 0 && cards.all.length > 1 ? `${cards.nameOf(event.card)}: ` : '';
  return `${card}${[what, subject, detail].filter((part) => part !== '').join(' ')}`;
}

/** `cards` has to know the card of the event: it has noted what came before. */
export function wordEvent(event: TraceEvent, cards: TraceCards): EventWords {
  switch (event.kind) {
    case 'card':
      return wordCard(event.description);
    case 'read':
    case 'write':
      return wordRegisterAccess(event, cards);
    case 'dma-read':
    case 'dma-write':
      return wordDma(event);
    case 'map': {
      const rights = [event.readable && 'readable', event.writable && 'writable'].filter(Boolean).join(', ');
      return words('client maps', wordRange(event.sizeBytes, event.iova), `(${rights || 'without access'})`);
    }
    case 'unmap':
      return words('client unmaps', wordRange(event.sizeBytes, event.iova));
    case 'irq-setup':
      return wordIrqSetup(event);
    case 'interrupt': {
      const { phase, index, vector, reason } = event;
      return words(`interrupt ${phase}`, wordInterrupt(index, vector), reason && HELD[reason]);
    }
    case 'reset':
      return words(
        event.reset === 'other' ? 'card is reset' : event.reset === 'flr' ? wordReset('flr') : 'device reset',
      );
    case 'stale':
      return words('stale', `${event.sizeBytes} of these bytes`, '(others are in memory: not synchronised)');
    case 'nested':
      return words('inside this reaction');
    case 'state':
      return words('state', event.part, event.state);
    case 'task':
      return words('scheduled work');
    case 'link-down':
      return words('link down');
    case 'connected':
    case 'disconnected':
      return words(`client ${event.kind}`);
    case 'fault':
      return words('fault', event.fault, event.what);
    case 'mark':
      return words(`${event.from} mark`, '', event.text);
    case 'notice':
      return words('notice', '', event.text);
    case 'end':
      return words('end of the recording');
  }
}

const HELD = {
  'masked': '(masked)',
  'disabled': '(not enabled)',
  'not-connected': '(nobody is connected to it)',
  'bus-master-off': '(Bus Master Enable is 0)',
} as const;

const words = (what: string, subject = '', detail = ''): EventWords => ({ what, subject, detail });

function wordCard({ name, model, vendorId, deviceId, faults }: TraceCardDescription): EventWords {
  const ids = [vendorId, deviceId].map((id) => id.toString(16).padStart(4, '0')).join(':');
  const declared = faults.length === 0 ? '' : `, ${faults.length} ${faults.length === 1 ? 'fault' : 'faults'} declared`;
  return words('card', name, `(${model}, ${ids}${declared})`);
}
type TraceCardDescription = Extract<TraceEvent, { kind: 'card' }>['description'];

function wordRegisterAccess({ kind, card, region, offset, data }: AccessEvent, cards: TraceCards): EventWords {
  const { place, value, detail } = wordAccess(cards.names(card), region, offset, data.length, valueOf(data));
  return words(kind, place, `${value} ${detail}`.trimEnd());
}

/** The little-endian value of the first eight bytes. */
export function valueOf(data: Uint8Array): bigint {
  let value = 0n;
  for (let i = Math.min(data.length, 8); i-- > 0;) value = (value << 8n) | BigInt(data[i]!);
  return value;
}

function wordDma(event: DmaEvent): EventWords {
  const { what, by, range, outcome } = partsOfDma(event);
  const who = by.length === 0 ? '' : `(${by.join(', ')})`;
  return words(what, range, [who, outcome].filter((part) => part !== '').join(': '));
}

/** As `wordEvent`, but DMA by who does it, where that is known: `H2C0 descriptor`, `32 bytes at 0x1000: 01 00 00 …`. */
export function wordEventByActor(event: TraceEvent, cards: TraceCards): EventWords {
  if (event.kind !== 'dma-read' && event.kind !== 'dma-write') return wordEvent(event, cards);
  const { what, by, range, outcome } = partsOfDma(event);
  if (by.length === 0) return words(what, range, outcome);
  return words(what, by.join(' '), [range, outcome].filter((part) => part !== '').join(': '));
}

function partsOfDma({ kind, channel, role, iova, sizeBytes, data, hash, error, isAsync }: DmaEvent) {
  const by = [channel, role === 'other' ? '' : role, isAsync ? 'by message' : ''].filter((part) => part !== '');
  const payload = data ? wordPayload(data) : hash !== undefined ? `SHA-256 ${hash}…` : '';
  const outcome = error === undefined ? payload : `failed, ${error}`;
  const what = kind === 'dma-read' ? 'DMA reads' : 'DMA writes';
  return { what, by, range: wordRange(sizeBytes, iova), outcome };
}

const SHOWN_BYTES = 32;

/** `01 00 00 00 …` */
export function wordPayload(data: Uint8Array, shown = SHOWN_BYTES): string {
  const hex = Array.from(data.subarray(0, shown), (byte) => byte.toString(16).padStart(2, '0')).join(' ');
  return data.length > shown ? `${hex} …` : hex;
}

const IRQ_ACTIONS = { sinks: 'connects', trigger: 'triggers', mask: 'masks', unmask: 'unmasks' } as const;

function wordIrqSetup({ index, start, count, action, vectors }: IrqSetupEvent): EventWords {
  const mechanism = wordMechanism(index);
  if (count === 0) return words('client disconnects', mechanism);
  const ofAll = (wanted: boolean) =>
    Array.from({ length: count }, (_, i) => start + i).filter((_, i) => (vectors?.[i] ?? true) === wanted);
  const [concerned, others] = [ofAll(true), ofAll(false)];
  const list = (of: readonly number[]) => (index === 1 || index === 2 ? `${mechanism} ${wordVectors(of)}` : mechanism);
  if (action !== 'sinks') return words(`client ${IRQ_ACTIONS[action]}`, list(concerned));
  if (concerned.length === 0) return words('client disconnects', list(others));
  return words('client connects', list(concerned), others.length > 0 ? `(disconnects ${wordVectors(others)})` : '');
}

/** `vector 3`, `vectors 0 to 7`, `vectors 0, 2, 5` */
function wordVectors(vectors: readonly number[]): string {
  const [first, last] = [vectors[0], vectors.at(-1)];
  if (first === undefined || last === undefined) return 'no vector';
  if (first === last) return `vector ${first}`;
  return last - first === vectors.length - 1 ? `vectors ${first} to ${last}` : `vectors ${vectors.join(', ')}`;
}
