/**
 * The kinds of events, a row each. What the rest of ghostcard knows of kinds comes from this table: how an event lies
 * in the file (`format.ts`, `event-block.ts`) and in docs/tracing.md, its words, its names for `--kind`, what a replay
 * and a comparison of two runs do with it.
 *
 * A new kind is an interface in `event.ts` and a row here; the compiler and the tests say what else is to be done.
 */
import { type DmaErrorReason } from '../../emulator/memory';
import { BAR_COUNT, type InterruptPhase, Irq, REGION_COUNT } from '../../emulator/pci';
import { RESET_KINDS } from '../../emulator/registers';
import {
  type AccessEvent,
  type DmaEvent,
  type EventContent,
  type EventOf,
  type PlainEvent,
  type TraceEvent,
  type TraceEventKind,
} from './event';
import {
  accessData,
  boolean,
  booleans,
  cardDescription,
  type Field,
  dmaReference,
  flag,
  number,
  numberUpTo,
  oneOf,
  optional,
  pieces,
  payload,
  payloadHash,
  text,
} from './fields';
import { type RegisterNames } from './names';
import {
  type EventWords,
  HELD,
  RESET_NAMES,
  wordBytes,
  wordCard,
  wordDma,
  wordInterrupt,
  wordIrqSetup,
  wordPlace,
  wordRange,
  wordRegisterAccess,
  words,
} from './wording';

export interface Kind<E extends TraceEvent> {
  /** In the file. The next free one for a new kind; what a code means never changes. */
  readonly code: number;
  /** What an event of this kind says, for the documentation. */
  readonly about: string;
  /** What a replay does: a 'stimulus' is given to the card, an 'effect' is expected of it, a 'remark' is left out. */
  readonly role: 'stimulus' | 'effect' | 'remark';
  /** Of an effect: it is a stimulus when these fields have these values. */
  readonly stimulusIf?: Partial<EventContent<E>>;
  /**
   * Who acts, for a comparison of two runs. 'neither': what client, host and recorder add as they like, and what
   * follows from the rest.
   */
  readonly actor: 'driver' | 'card' | 'neither';
  /** A name for several kinds. */
  readonly group?: 'access' | 'dma';
  /** In the order of the file. */
  readonly fields: FieldsOf<EventContent<E>>;
  readonly words: (event: EventContent<E>, names: RegisterNames) => EventWords;
}
type FieldsOf<Content> = { readonly [Name in Exclude<keyof Content, 'kind'>]: Field<Content[Name]> };

type Unnumbered<E extends TraceEvent> = Omit<Kind<E>, 'code'>;

const access = {
  about: 'An access of configuration space or a BAR: where, how wide, which value.',
  role: 'stimulus',
  actor: 'driver',
  group: 'access',
  fields: { region: numberUpTo(REGION_COUNT - 1), offset: number, data: accessData },
  words: wordRegisterAccess,
} as const satisfies Unnumbered<AccessEvent>;

const dma = {
  about:
    'A DMA access: which channel, for what (descriptor, data, write-back), where, how much, and the bytes, or why it ' +
    'failed. With `isAsync` it went by message, and this is its completion.',
  role: 'effect',
  stimulusIf: { isAsync: true },
  actor: 'card',
  group: 'dma',
  fields: {
    ...{
      channel: text,
      role: oneOf(['descriptor', 'data', 'write-back', 'other']),
      iova: number,
      sizeBytes: number,
      data: payload,
      hash: payloadHash,
    },
    ...{ error: optional(text as Field<DmaErrorReason>), isAsync: flag },
  },
  words: wordDma,
} as const satisfies Unnumbered<DmaEvent>;

/** The most vectors that a function has (PCI Express Base Specification 5.0, 7.7.2: MSI-X). */
const MOST_VECTORS = 2048;
const vector = numberUpTo(MOST_VECTORS - 1);
const interruptIndex = numberUpTo(Irq.REQUEST);
const HELD_REASONS = Object.keys(HELD) as (keyof typeof HELD)[];

const PHASES = ['raised', 'lowered', 'held', 'sent'] as const satisfies readonly InterruptPhase[];
const phase = oneOf<InterruptPhase>(PHASES);

/** Recordings of earlier builds have 'delivered' for 'sent'. */
const interruptPhase: Field<InterruptPhase> = {
  ...phase,
  read: (values, at, problems) => (values[at] === 'delivered' ? 'sent' : phase.read(values, at, problems)),
};

const connection = {
  about: 'The client connects and disconnects.',
  role: 'remark',
  actor: 'driver',
  fields: {},
  words: ({ kind }) => words(`client ${kind}`),
} as const satisfies Unnumbered<PlainEvent>;

export const KINDS = {
  'card': {
    code: 0,
    about: 'A card was plugged in, served or restarted: what it is, with its register map.',
    role: 'remark',
    actor: 'driver',
    fields: { description: cardDescription },
    words: ({ description }) => wordCard(description),
  },
  'read': { code: 1, ...access },
  'write': { code: 2, ...access },
  'dma-read': { code: 3, ...dma },
  'dma-write': { code: 4, ...dma },
  'stale': {
    code: 19,
    about:
      'So many of the bytes that the card has just read differ from memory: its driver [has not synchronised ' +
      'them](coherence.md).',
    role: 'effect',
    actor: 'card',
    group: 'dma',
    fields: { sizeBytes: number },
    words: ({ sizeBytes }) => words('stale', `${sizeBytes} of these bytes`, '(memory differs: not synchronised)'),
  },
  'map': {
    code: 5,
    about: 'The client (QEMU) maps memory for the card.',
    role: 'stimulus',
    actor: 'neither',
    fields: { iova: number, sizeBytes: number, readable: boolean, writable: boolean },
    words: ({ iova, sizeBytes, readable, writable }) => {
      const rights = [readable && 'readable', writable && 'writable'].filter(Boolean).join(', ');
      return words('client maps', wordRange(sizeBytes, iova), `(${rights || 'without access'})`);
    },
  },
  'unmap': {
    code: 6,
    about: 'The client takes memory from the card.',
    role: 'stimulus',
    actor: 'neither',
    fields: { iova: number, sizeBytes: number },
    words: ({ iova, sizeBytes }) => words('client unmaps', wordRange(sizeBytes, iova)),
  },
  'irq-setup': {
    code: 7,
    about: 'The client connects, masks or unmasks interrupts.',
    role: 'stimulus',
    actor: 'driver',
    fields: {
      ...{ index: interruptIndex, start: vector, count: numberUpTo(MOST_VECTORS) },
      ...{ action: oneOf(['sinks', 'trigger', 'mask', 'unmask']), vectors: optional(booleans) },
    },
    words: wordIrqSetup,
  },
  'interrupt': {
    code: 8,
    about:
      'Raised by the card, lowered, held (and why), sent: the client (QEMU) has been notified. Whether it interrupts the ' +
      'guest is [for QEMU to say](limits.md#vectors-masked-in-the-msi-x-table).',
    role: 'effect',
    actor: 'card',
    fields: { phase: interruptPhase, index: interruptIndex, vector, reason: optional(oneOf(HELD_REASONS)) },
    words: ({ phase, index, vector, reason }) =>
      words(`interrupt ${phase}`, wordInterrupt(index, vector), reason && HELD[reason]),
  },
  'reset': {
    code: 9,
    about:
      'By the client (`device`), by the driver (`flr`, or `d3hot`: the return to D0), by the loss of the link (`link-down`) or of power (`power`).',
    role: 'effect',
    stimulusIf: { reset: 'device' },
    actor: 'driver',
    fields: { reset: oneOf(RESET_KINDS) },
    words: ({ reset }) => words(RESET_NAMES[reset]),
  },
  'state': {
    code: 10,
    about: 'A part of the card changed its state: `H2C0` is `running`.',
    role: 'effect',
    actor: 'card',
    fields: { part: text, state: text },
    words: ({ part, state }) => words('state', part, state),
  },
  'task': {
    code: 11,
    about: 'Work that the card had scheduled begins.',
    role: 'stimulus',
    actor: 'neither',
    fields: {},
    words: () => words('scheduled work'),
  },
  'nested': {
    code: 20,
    about:
      'The next stimulus comes during the reaction to the last: a driver in the same process accesses the card when ' +
      'it is notified of an interrupt.',
    role: 'effect',
    actor: 'neither',
    fields: {},
    words: () => words('inside this reaction'),
  },
  'link-down': {
    code: 12,
    about: "The card's link is lost.",
    role: 'stimulus',
    actor: 'driver',
    fields: {},
    words: () => words('link down'),
  },
  'connected': { code: 13, ...connection },
  'disconnected': { code: 14, ...connection },
  'fault': {
    code: 15,
    about: 'An injected fault took effect.',
    role: 'remark',
    actor: 'card',
    fields: { fault: text, what: text },
    words: ({ fault, what }) => words('fault', fault, what),
  },
  'origin': {
    code: 21,
    about: 'Who did the last register access before it: a `place` in code of the guest, by number.',
    role: 'remark',
    actor: 'neither',
    fields: { place: number },
    words: ({ place }) => words('by', `place ${place}`),
  },
  'place': {
    code: 22,
    about:
      'A place in code of the guest, for the origins that have its number, or DMA as a writer: process, address and, as soon as it is known, ' +
      'its name.',
    role: 'remark',
    actor: 'neither',
    fields: { place: number, pid: number, process: text, address: text, name: optional(text) },
    words: (event) => words('place', String(event.place), wordPlace(event)),
  },
  'written': {
    code: 23,
    about:
      'Who wrote the bytes that the card has just read: so many each, by a `place`; 0 is nobody that is known. [What it ' +
      'says](#whose-byte-it-is).',
    role: 'remark',
    actor: 'neither',
    fields: { pieces },
    words: ({ pieces }) =>
      words(
        'written',
        '',
        pieces.map(({ sizeBytes, place }) => `${wordBytes(sizeBytes)} by place ${place}`).join(', '),
      ),
  },
  'mark': {
    code: 16,
    about: 'A [mark](#marks) that a user set.',
    role: 'remark',
    actor: 'driver',
    fields: { from: oneOf(['guest', 'host', 'command']), text },
    words: ({ from, text: said }) => words(`${from} mark`, '', said),
  },
  'notice': {
    code: 17,
    about: 'What a check says, a stalled driver, a DMA race, or an error that the model of the card threw.',
    role: 'remark',
    actor: 'neither',
    fields: { text, dma: optional(dmaReference) },
    words: ({ text: said }) => words('notice', '', said),
  },
  'end': {
    code: 18,
    about: 'The recording was closed; otherwise, the run was killed or is still going on.',
    role: 'remark',
    actor: 'neither',
    fields: {},
    words: () => words('end of the recording'),
  },
} as const satisfies { readonly [Name in TraceEventKind]: Kind<EventOf<Name>> };

type StimulusKind = {
  [Name in TraceEventKind]: (typeof KINDS)[Name] extends { role: 'stimulus' } | { stimulusIf: object } ? Name : never;
}[TraceEventKind];
/** Events that are stimuli, always or sometimes: see `isStimulus`. */
export type StimulusEvent = EventOf<StimulusKind>;

/** A row for events of any kind. */
const rowOf = (kind: TraceEventKind): Kind<TraceEvent> => KINDS[kind] as unknown as Kind<TraceEvent>;

/** All kinds, in the order of their codes. */
export const TRACE_EVENT_KINDS = (Object.keys(KINDS) as TraceEventKind[]).sort((a, b) => KINDS[a].code - KINDS[b].code);

/** The names that `--kind` takes: of groups, then of kinds. */
export const KIND_NAMES: readonly string[] = [
  ...new Set(TRACE_EVENT_KINDS.flatMap((kind) => rowOf(kind).group ?? [])),
  ...TRACE_EVENT_KINDS,
];

/** The kinds that such a name stands for; none for another name. */
export const kindsNamed = (name: string): TraceEventKind[] =>
  TRACE_EVENT_KINDS.filter((kind) => kind === name || rowOf(kind).group === name);

/** Whether a replay gives the event to the card. */
export function isStimulus(event: TraceEvent): event is StimulusEvent {
  const { role, stimulusIf } = rowOf(event.kind);
  if (stimulusIf === undefined) return role === 'stimulus';
  return Object.entries(stimulusIf).every(([name, value]) => event[name as keyof typeof event] === value);
}

/** Whether the event may have an origin. */
export const isBarAccess = (event: TraceEvent): boolean =>
  (event.kind === 'read' || event.kind === 'write') && event.region < BAR_COUNT;

/** Whether the event is neither done to the card nor done by it. */
export const isRemark = ({ kind }: Pick<EventContent, 'kind'>): boolean => rowOf(kind).role === 'remark';

/** Who acts, for a comparison of two runs. */
export const actorOf = ({ kind }: Pick<EventContent, 'kind'>): Kind<TraceEvent>['actor'] => rowOf(kind).actor;

/** The event in words. It need not be of a recording: `names` are those of any card. */
export const wordsOf = (event: EventContent, names: RegisterNames): EventWords => rowOf(event.kind).words(event, names);
