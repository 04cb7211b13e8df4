/** A trace in words: its events, each as one line or in parts, and what it does not show. */
import {
  type EventWords,
  inOneLine,
  type TraceEvent,
  type TraceHeader,
  wordBytes,
  wordDmaByActor,
  wordOrigin,
  words,
  wordsOf,
  wordTime,
  type WrittenEvent,
} from '../trace';
import { type TraceCards } from './card-names';
import { writtenBytes } from './written';

/**
 * `   12.345 us  write H2C[0].DOORBELL 0x00000001 (INDEX=1)`; names the card when the trace has several. The time is
 * left blank for what belongs to no card, since device time is a card's.
 */
export const describeTraceEvent = (event: TraceEvent, cards: TraceCards): string =>
  `${wordEventTime(event)}  ${describeWithoutTime(event, cards)}`;

export const wordEventTime = ({ card, timeNs }: TraceEvent): string =>
  card === 0 ? ' '.repeat(wordTime(0).length) : wordTime(timeNs);

/** `write H2C[0].DOORBELL 0x00000001 (INDEX=1)` */
export function describeWithoutTime(event: TraceEvent, cards: TraceCards): string {
  const card = event.card !== 0 && cards.all.length > 1 ? `${cards.nameOf(event.card)}: ` : '';
  return `${card}${inOneLine(wordEvent(event, cards))}`;
}

/** `cards` has noted the card of the event. */
export function wordEvent(event: TraceEvent, cards: TraceCards): EventWords {
  const place = event.kind === 'origin' ? cards.place(event.place) : undefined;
  if (place) return wordOrigin(place);
  if (event.kind === 'written') return words('written', '', wordWriters(event, cards));
  return wordsOf(event, cards.names(event.card));
}

/** `16 bytes by driver.c:133 put (driver, process 143), 8 bytes by …` */
const wordWriters = (event: WrittenEvent, cards: TraceCards): string =>
  writtenBytes(event, { iova: 0 }, cards)
    .map(({ sizeBytes, writer }) => `${wordBytes(sizeBytes)} by ${writer ?? 'nobody that is known'}`)
    .join(', ');

/** As `wordEvent`, but for DMA the subject is the part of the card that does it, where that is known. */
export const wordEventByActor = (event: TraceEvent, cards: TraceCards): EventWords =>
  event.kind === 'dma-read' || event.kind === 'dma-write'
    ? wordDmaByActor(event, cards.names(event.card))
    : wordEvent(event, cards);

/**
 * What a trace does not show, so that it is not taken for something that did not happen: a sentence each. `isEnded` is
 * undefined while the recording goes on.
 */
export function notSeen(header: TraceHeader, cards: TraceCards, isEnded: boolean | undefined): string[] {
  const { lostEvents, payloads } = header;
  const windows = cards.all.flatMap(({ id, description }) =>
    description.windows
      .filter(({ isSeen }) => !isSeen)
      .map(({ region, offset, sizeBytes }) => {
        const where = `BAR${region} + 0x${offset.toString(16)} to 0x${(offset + sizeBytes - 1).toString(16)}`;
        return `accesses of ${where} of ${cards.nameOf(id)} are not in it: the guest maps it (--trace-disable-mmap)`;
      }),
  );
  return [
    ...(lostEvents > 0 ? [`the first ${lostEvents} events are lost: the recording kept only the last ones`] : []),
    ...windows,
    ...(payloads === 'full'
      ? []
      : [`the bytes of DMA are not in it${payloads === 'hash' ? ', only their hashes' : ''}`]),
    ...(isEnded === false ? ['it has no end: the run was killed, or is still going on'] : []),
  ];
}
