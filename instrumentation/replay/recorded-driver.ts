/**
 * What a trace knows of the driver, apart from its accesses: what it stored to host memory, as far as the card has read it,
 * and what it waited for.
 *
 * A byte that the card read, and that was not what it was known to be, has been stored by the driver: at the latest when it
 * last accessed the card before that.
 */
import { type TraceEvent } from '../trace';
import { isStimulus } from './card-events';
import { SparseMemory } from '../../emulator/memory/sparse-memory';

export interface DriverStep {
  /** An access, a mapping, a set-up of interrupts, a reset. */
  readonly stimulus: TraceEvent;
  /** What the driver has stored before. */
  readonly stores: readonly { readonly address: number; readonly bytes: Uint8Array }[];
  /** How often the card had done what, by a word for it: the driver may have waited for that. */
  readonly done: ReadonlyMap<string, number>;
}

/** What a driver can wait for: an interrupt that it is told of, a write-back in its memory; undefined for the rest. */
export function signOf(event: { readonly kind: string } & Partial<TraceEvent>): string | undefined {
  if (event.kind === 'interrupt' && 'phase' in event && event.phase === 'delivered') {
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
  const steps: { stimulus: TraceEvent; stores: { address: number; bytes: Uint8Array }[]; done: Map<string, number> }[] =
    [];
  for (const event of events) {
    const sign = signOf(event);
    if (sign !== undefined) done.set(sign, (done.get(sign) ?? 0) + 1);
    const isDma = event.kind === 'dma-read' || event.kind === 'dma-write';
    if (!isDma && isStimulus(event) && event.kind !== 'task') {
      steps.push({ stimulus: event, stores: [], done: new Map(done) });
    }
    if (!isDma || event.data === undefined) continue;
    if (event.kind === 'dma-read') steps.at(-1)?.stores.push(...memory.differing(event.iova, event.data));
    memory.write(event.iova, event.data);
  }
  return steps;
}
