/** The notice of a stalled driver, and its words. */
import { Region } from '../../emulator/pci';
import { type CardTrace, type RecentEvent, RegisterNames, valueOf, wordAccess, wordTime } from '../trace';

export interface StallNotice {
  readonly kind: 'polling' | 'interrupt-cannot-come';
  /** The register that is polled, or was accessed last: `H2C[0].STATUS`. */
  readonly register?: string;
  /** What the driver waits for: an interrupt index of VFIO (INTx 0, MSI 1, MSI-X 2) and a vector. */
  readonly interrupt?: { readonly index: number; readonly vector: number };
  /** The whole notice, in a few sentences. */
  readonly text: string;
}

export type RecentAccess = Extract<RecentEvent, { kind: 'read' | 'write' }>;

/** An access in the words of `describeTrace`: `H2C[0].STATUS`, and `0x00000001 (BUSY=1)`. */
export function accessed(
  trace: CardTrace,
  { region, offset, data }: RecentAccess,
): { register: string; value: string } {
  const words = wordAccess(RegisterNames.of(trace.card), region, offset, data.length, valueOf(data));
  return { register: words.place, value: `${words.value} ${words.detail}`.trimEnd() };
}

/** The last access of a BAR; with 'write', the last write. */
export function lastAccess(trace: CardTrace, wanted?: 'write'): RecentAccess | undefined {
  for (const event of trace.newestFirst()) {
    if (event.kind !== 'write' && (event.kind !== 'read' || wanted === 'write')) continue;
    if (event.region !== Region.CONFIG) return event;
  }
  return undefined;
}

/** The states of the card's parts, and whether it has anything scheduled. */
export function stateOf(trace: CardTrace): string {
  const states = [...trace.states].map(([part, state]) => `${part} ${state}`);
  const { waiting } = trace.card.inspection.clock;
  const outlook =
    waiting === 0
      ? 'Nothing is scheduled in the card: it will not change by itself.'
      : `The card has ${waiting === 1 ? 'a task' : `${waiting} tasks`} scheduled.`;
  return states.length === 0 ? outlook : `${outlook} Its parts: ${states.join(', ')}.`;
}

export const seconds = (ns: number): string => `${(ns / 1e9).toFixed(1)} s`;
/** Device time, as in a trace. */
export const deviceTime = (ns: number): string => wordTime(ns).trim();
