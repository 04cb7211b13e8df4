/** What of a trace is replayed: the events of one card, from its description on. */
import { type CardDescription, isRemark, type Trace, type TraceEvent, type TraceHeader } from '../trace';

/** A trace that cannot be replayed: the message says why, and how to record one that can. */
export class ReplayError extends Error {
  override readonly name = 'ReplayError';
}

export interface CardEvents {
  readonly id: number;
  readonly description: CardDescription;
  /** Stimuli and effects, in order. */
  readonly events: readonly TraceEvent[];
}

/** The card with this name or number; by default, the only one. Throws ReplayError. */
export function cardEvents({ header, events, isEnded }: Trace, which?: string | number): CardEvents {
  if (header.lostEvents > 0) {
    throw new ReplayError(
      `the trace has lost its first ${header.lostEvents} events (it was recorded in ring mode), and a replay begins with ` +
        'the card as it was made: record without a size limit',
    );
  }
  const cards = events.flatMap((event) => (event.kind === 'card' ? [event] : []));
  if (cards.length === 0) {
    const why = isEnded
      ? 'nothing was plugged in while it was recorded'
      : 'it was cut off before, or is still going on';
    throw new ReplayError(`the trace holds no card: ${why}`);
  }
  const isMeant = (card: (typeof cards)[number]) =>
    which === undefined || card.description.name === which || String(card.card) === String(which);
  const meant = cards.filter(isMeant);
  const listed = cards.map(({ card, description }) => `${card} (${description.name})`).join(', ');
  if (meant.length === 0) throw new ReplayError(`the trace has no card '${which}'; it has ${listed}`);
  if (meant.length > 1) {
    const why = which === undefined ? `${meant.length} cards` : `${meant.length} cards called '${which}'`;
    throw new ReplayError(`the trace has ${why}: say which by its number; there are ${listed}`);
  }
  const { card: id, description } = meant[0]!;
  const own = events.filter((event) => event.card === id && !isRemark(event));
  if (own.length === 0) {
    const cut = isEnded ? '' : ': the recording was cut off, or is still going on';
    throw new ReplayError(`the trace has no events of the card '${description.name}' to be replayed${cut}`);
  }
  checkPayloads(own, header);
  return { id, description, events: own };
}

/** For the notes of a replay: what is missing in it by damage of the file. */
export function damageNotes({ damage = [] }: Trace): string[] {
  if (damage.length === 0) return [];
  const more = damage.length > 1 ? `, and ${damage.length - 1} more` : '';
  return [`the trace is damaged, and what cannot be read of it is left out: ${damage[0]!}${more}`];
}

function checkPayloads(events: readonly TraceEvent[], { payloads, largestPayloadBytes }: TraceHeader): void {
  const isUnknown = (event: TraceEvent) => event.kind === 'dma-read' && !event.data && !event.error;
  if (!events.some(isUnknown)) return;
  if (payloads === 'full' && largestPayloadBytes !== undefined) {
    throw new ReplayError(
      `the trace was recorded in ring mode, with DMA payloads of more than ${largestPayloadBytes} bytes as hashes, so it ` +
        'does not hold all that the card read from host memory: record without a size limit, or with a larger one',
    );
  }
  throw new ReplayError(
    `the trace was recorded with DMA payloads '${payloads}', so it lacks what the card read from host memory: ` +
      "record with payloads 'full'",
  );
}
