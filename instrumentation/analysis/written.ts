/** Whose bytes a card has moved: who wrote what it has read, and which doorbell and descriptor a DMA access came from. */
import {
  type AccessEvent,
  type DmaEvent,
  isBarAccess,
  type TraceEvent,
  wordBytes,
  wordPlace,
  wordsOf,
  type WrittenEvent,
} from '../trace';
import { type TraceCards } from './card-names';
import { ChannelDoorbells } from './doorbells';

/** Bytes with one writer. */
export interface WrittenBytes {
  readonly iova: number;
  /** One past the last. */
  readonly end: number;
  /** Fewer than from `iova` to `end`: those between are others'. */
  readonly sizeBytes: number;
  /** `driver.c:133 put (driver, process 143)`; undefined: nobody that is known. */
  readonly writer: string | undefined;
  /** It was DMA. */
  readonly isDma: boolean;
}

/** The bytes that a card has read in `dma`, by their writers. */
export function writtenBytes(
  { pieces }: WrittenEvent,
  { iova }: Pick<DmaEvent, 'iova'>,
  cards: TraceCards,
): WrittenBytes[] {
  const written: { -readonly [Name in keyof WrittenBytes]: WrittenBytes[Name] }[] = [];
  const isByWriter = pieces.some(({ offset, end, sizeBytes }) => end - offset > sizeBytes);
  for (const { offset, end, sizeBytes, place } of pieces) {
    const origin = cards.place(place);
    const writer = origin && wordPlace(origin);
    const before = isByWriter ? written.find((each) => each.writer === writer) : written.at(-1);
    if (before !== undefined && before.writer === writer) {
      before.sizeBytes += sizeBytes;
      before.end = Math.max(before.end, iova + end);
    } else {
      const isOfDma = origin?.address.startsWith('0x') === false;
      written.push({ iova: iova + offset, end: iova + end, sizeBytes, writer, isDma: isOfDma });
    }
  }
  return written;
}

/** `16 bytes at 0x1000 written by driver.c:133 put (driver, process 143)` */
export function wordWritten(
  written: readonly WrittenBytes[],
  { sizeBytes: all }: Pick<DmaEvent, 'sizeBytes'>,
): string[] {
  const lines = written.map(({ iova, end, sizeBytes, writer }) => {
    const span = end - iova;
    const bytes = span === sizeBytes ? wordBytes(sizeBytes) : `${sizeBytes} of the ${span} bytes`;
    return `${bytes} at 0x${iova.toString(16)}, written by ${writer ?? 'nobody that is known'}`;
  });
  const missing = all - written.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  return [...lines, ...(missing > 0 ? [`and ${wordBytes(missing)} more`] : [])];
}

/** What a channel's DMA came from. */
export interface DmaCause {
  /** The register write that has started the channel. */
  readonly doorbell: AccessEvent | undefined;
  /** What it has read last as descriptors. */
  readonly descriptor: DmaEvent | undefined;
}

/** To be given the events of a trace in order. `cards` has noted each before. */
export class DmaCauses {
  readonly #doorbells: ChannelDoorbells;
  readonly #descriptors = new Map<string, DmaEvent>();
  readonly #lastWrites = new Map<number, AccessEvent>();
  readonly #lastAccesses = new Map<number, TraceEvent>();
  readonly #places = new WeakMap<TraceEvent, number>();

  constructor(private readonly cards: TraceCards) {
    this.#doorbells = new ChannelDoorbells(cards);
  }

  /** Returns what it came from, if the event is DMA. */
  take(event: TraceEvent): DmaCause | undefined {
    this.#doorbells.take(event);
    if (isBarAccess(event)) this.#lastAccesses.set(event.card, event);
    if (isBarAccess(event) && event.kind === 'write') this.#lastWrites.set(event.card, event);
    const access = this.#lastAccesses.get(event.card);
    if (event.kind === 'origin' && access) this.#places.set(access, event.place);
    if (event.kind !== 'dma-read' && event.kind !== 'dma-write') return undefined;
    const { card, channel, kind, role } = event;
    const key = `${card} ${channel}`;
    const isFetch = kind === 'dma-read' && role === 'descriptor';
    const descriptor = isFetch ? undefined : this.#descriptors.get(key);
    if (isFetch) this.#descriptors.set(key, event);
    return { doorbell: this.#doorbells.of(card, channel) ?? this.lastWrite(card), descriptor };
  }

  /** '' where nothing is known; else `started by H2C[0].DOORBELL 0x00000001 (PRODUCER=1) at driver.c:141 ring_doorbell (driver, process 143)` and its like. */
  word({ doorbell, descriptor }: DmaCause): string {
    const from = descriptor ? [`from the descriptor of ${wordRange(descriptor)}`] : [];
    if (doorbell === undefined) return from.join('');
    const { subject, detail } = wordsOf(doorbell, this.cards.names(doorbell.card));
    const place = this.cards.place(this.#places.get(doorbell) ?? 0);
    const rung = [subject, detail].filter(Boolean).join(' ');
    return [...from, `started by ${rung}${place ? ` at ${wordPlace(place)}` : ''}`].join(', ');
  }

  /** The last write of a register of the card. */
  lastWrite(card: number): AccessEvent | undefined {
    return this.#lastWrites.get(card);
  }
}

const wordRange = ({ sizeBytes, iova }: DmaEvent): string => `${wordBytes(sizeBytes)} at 0x${iova.toString(16)}`;
