/** What the watch has to say, in words. */
import { Region } from '../../emulator/pci';
import { type CardTrace, type RecentEvent, RegisterNames, valueOf, wordAccess, wordTime } from '../trace';

export interface StallNotice {
  readonly kind: 'polling' | 'interrupt-cannot-come';
  /** The register that is polled, or was accessed last: `H2C[0].STATUS`. */
  readonly register?: string;
  /** What is waited for: an index of VFIO (INTx 0, MSI 1, MSI-X 2) and its vector. */
  readonly interrupt?: { readonly index: number; readonly vector: number };
  /** All of it, in a sentence or two. */
  readonly text: string;
}

export type RecentAccess = Extract<RecentEvent, { kind: 'read' | 'write' }>;

/** An access as `describeTrace` has it: `H2C[0].STATUS`, and `0x00000001 (BUSY=1)`. */
export function accessed(
  trace: CardTrace,
  { region, offset, data }: RecentAccess,
): { register: string; value: string } {
  const words = wordAccess(RegisterNames.of(trace.card), region, offset, data.length, valueOf(data));
  return { register: words.place, value: `${words.value} ${words.detail}`.trimEnd() };
}

/** The last access of a BAR, of either kind or of this one. */
export function lastAccess(trace: CardTrace, wanted?: 'write'): RecentAccess | undefined {
  for (const event of trace.newestFirst()) {
    if (event.kind !== 'write' && (event.kind !== 'read' || wanted === 'write')) continue;
    if (event.region !== Region.CONFIG) return event;
  }
  return undefined;
}

/** What its parts are doing, and whether it will do anything at all. */
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
/** Of the device, as in a trace. */
export const deviceTime = (ns: number): string => wordTime(ns).trim();
