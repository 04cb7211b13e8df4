/**
 * Which event an effect is an effect of. Device time stands still while a card reacts, so that cause and effect have the
 * same time; a write or a task comes before its effects in a trace, a read after them.
 */
import { type TraceEvent } from '../trace';

const EFFECTS: readonly TraceEvent['kind'][] = ['dma-read', 'dma-write', 'interrupt', 'state', 'fault', 'notice'];
const NO_STIMULI: readonly TraceEvent['kind'][] = [...EFFECTS, 'card', 'mark', 'end'];

export class CauseFinder {
  readonly #causes: Int32Array;

  constructor(events: readonly TraceEvent[]) {
    this.#causes = new Int32Array(events.length).fill(-1);
    const byCard = new Map<number, { stimulus: number; timeNs: number; waiting: number[] }>();
    for (const [i, event] of events.entries()) {
      const { card, kind, timeNs } = event;
      let now = byCard.get(card);
      if (now === undefined) byCard.set(card, (now = { stimulus: -1, timeNs: NaN, waiting: [] }));
      if (EFFECTS.includes(kind) || (kind === 'reset' && event.reset === 'flr')) {
        if (timeNs === now.timeNs) this.#causes[i] = now.stimulus;
        else now.waiting.push(i);
      } else if (!NO_STIMULI.includes(kind)) {
        for (const effect of kind === 'read' ? now.waiting : []) {
          if (events[effect]!.timeNs === timeNs) this.#causes[effect] = i;
        }
        byCard.set(card, { stimulus: i, timeNs, waiting: [] });
      }
    }
  }

  /** -1: it is a stimulus itself, or the trace does not tell. */
  of(event: number): number {
    return this.#causes[event]!;
  }
}
