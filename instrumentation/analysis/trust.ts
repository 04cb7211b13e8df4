/** What a trace does not show, so that nobody takes it for something that has not happened. */
import { type TraceHeader } from '../trace';
import { type TraceCards } from './card-names';

/** One sentence for each thing. `isEnded`: undefined while the recording goes on. */
export function notSeen(header: TraceHeader, cards: TraceCards, isEnded: boolean | undefined): string[] {
  const { lostEvents, payloads } = header;
  const windows = cards.all.flatMap(({ id, description }) =>
    description.windows
      .filter(({ isSeen }) => !isSeen)
      .map(({ region, offset, sizeBytes }) => {
        const where = `BAR${region} + 0x${offset.toString(16)} to 0x${(offset + sizeBytes - 1).toString(16)}`;
        return `accesses of ${where} of ${cards.nameOf(id)} are not in it: the guest maps it (--trace-windows)`;
      }),
  );
  return [
    ...(lostEvents > 0
      ? [`the first ${lostEvents} events are not there any more: the recording kept the last ones`]
      : []),
    ...windows,
    ...(payloads === 'full'
      ? []
      : [`the bytes of DMA are not in it${payloads === 'hash' ? ', only their hashes' : ''}`]),
    ...(isEnded === false ? ['it has no end: the run was killed, or is still going on'] : []),
  ];
}
