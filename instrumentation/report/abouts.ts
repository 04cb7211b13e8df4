/** Which events a notice is about: the DMA of a race, and the register write before it that had started it. */
import { isBarAccess, type TraceEvent } from '../trace';

/** By number; none where the notice does not say, or the trace does not have it. */
export function eventsAbout(notice: TraceEvent, events: readonly TraceEvent[]): number[] {
  if (notice.kind !== 'notice' || notice.dma === undefined) return [];
  const { kind, timeNs, iova, sizeBytes } = notice.dma;
  // One by message completes later than it has begun.
  const dma = events.findIndex(
    (event) =>
      event.kind === kind &&
      event.card === notice.card &&
      event.iova === iova &&
      event.sizeBytes === sizeBytes &&
      event.timeNs >= timeNs,
  );
  if (dma < 0) return [];
  const write = events.findLastIndex(
    (event, at) => at < dma && event.kind === 'write' && event.card === notice.card && isBarAccess(event),
  );
  return write < 0 ? [dma] : [dma, write];
}
