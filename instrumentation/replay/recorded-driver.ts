/**
 * What a trace knows of the driver, apart from its accesses: what it stored to host memory, as far as the card read it,
 * and what it may have waited for.
 *
 * When the card reads a byte that differs from its last known value, the driver stored it: at the latest when it last
 * accessed the card before that.
 */
import { SparseMemory } from '../../emulator/memory/sparse-memory';
import { isStimulus, type StimulusEvent, type TraceEvent } from '../trace';

/** An access, a mapping, a set-up of interrupts, a reset, the loss of the link. */
type DriverStimulus = Exclude<StimulusEvent, { readonly kind: 'dma-read' | 'dma-write' | 'task' }>;

export interface DriverStep {
  readonly stimulus: DriverStimulus;
  /** What the driver stored before. */
  readonly stores: readonly { readonly address: number; readonly bytes: Uint8Array }[];
  /** How often the card had done what the driver may have waited for, by a word for it. */
  readonly done: ReadonlyMap<string, number>;
}

/** A word for what a driver can wait for: a sent interrupt, a write-back in its memory. Undefined for the rest. */
export function signOf(event: { readonly kind: string } & Partial<TraceEvent>): string | undefined {
  if (event.kind === 'interrupt' && 'phase' in event && event.phase === 'sent') {
    return `interrupt ${event.index}.${event.vector}`;
  }
  if (event.kind === 'dma-write' && 'role' in event && event.role === 'write-back' && !event.error) {
    return `write-back of ${event.channel || 'the card'}`;
  }
  return undefined;
}

export function driverSteps(events: readonly TraceEvent[]): DriverStep[] {
  const memory = new SparseMemory();
  const done = new Map<string, number>();
  const steps: {
    stimulus: DriverStimulus;
    stores: { address: number; bytes: Uint8Array }[];
    done: Map<string, number>;
  }[] = [];
  for (const event of events) {
    const sign = signOf(event);
    if (sign !== undefined) done.set(sign, (done.get(sign) ?? 0) + 1);
    if (isStimulus(event) && event.kind !== 'task' && event.kind !== 'dma-read' && event.kind !== 'dma-write') {
      steps.push({ stimulus: event, stores: [], done: new Map(done) });
    }
    if (!('channel' in event) || event.data === undefined) continue;
    if (event.kind === 'dma-read') steps.at(-1)?.stores.push(...memory.differing(event.iova, event.data));
    memory.write(event.iova, event.data);
  }
  return steps;
}
