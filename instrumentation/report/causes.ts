/**
 * Which stimulus an event is an effect of. Device time stands still while a card reacts, so cause and effect have the
 * same time; a write or a task comes before its effects in a trace, a read after them.
 */
import { isRemark, isStimulus, type TraceEvent } from '../trace';

/** Effects, and what is said of them. */
const isCaused = (event: TraceEvent): boolean =>
  event.kind === 'fault' || event.kind === 'notice' || (!isStimulus(event) && !isRemark(event));

export class CauseFinder {
  readonly #causes: Int32Array;

  constructor(events: readonly TraceEvent[]) {
    this.#causes = new Int32Array(events.length).fill(-1);
    const byCard = new Map<number, { stimulus: number; timeNs: number; waiting: number[] }>();
    for (const [i, event] of events.entries()) {
      const { card, kind, timeNs } = event;
      let now = byCard.get(card);
      if (now === undefined) byCard.set(card, (now = { stimulus: -1, timeNs: NaN, waiting: [] }));
      if (isStimulus(event)) {
        for (const effect of kind === 'read' ? now.waiting : []) {
          if (events[effect]!.timeNs === timeNs) this.#causes[effect] = i;
        }
        byCard.set(card, { stimulus: i, timeNs, waiting: [] });
      } else if (isCaused(event)) {
        if (timeNs === now.timeNs) this.#causes[i] = now.stimulus;
        else now.waiting.push(i);
      }
    }
  }

  /** -1: it is a stimulus itself, or the trace does not say. */
  of(event: number): number {
    return this.#causes[event]!;
  }
}
