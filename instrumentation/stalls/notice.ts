/** The notice of a stalled driver, and its words. */
import { Region } from '../../emulator/pci';
import {
  type CardNotice,
  type CardTrace,
  inOneLine,
  type RecentEvent,
  RegisterNames,
  valueOf,
  wordAccess,
  wordOrigin,
  wordTime,
} from '../trace';

/** What is reported of stalled drivers: rows of the table of checks. */
export const STALLS = {
  'polling': {
    doc: 'The driver reads one register over and over, with the same value, and nothing else happens at the card.',
    source: 'no document: a driver that makes no progress',
  },
  'interrupt-cannot-come': {
    doc: 'The driver may be waiting for an interrupt that is held back or lost, or that nothing will raise.',
    source: 'PCI Local Bus Spec 3.0, 6.2.2 (Interrupt Disable) and 6.8 (masks, pending bits)',
  },
} as const satisfies Record<StallKind, unknown>;

/** `register`: the one that is polled, or was accessed last; `interrupt`: what the driver waits for. */
export interface StallNotice extends CardNotice {
  readonly kind: 'polling' | 'interrupt-cannot-come';
}

export type StallKind = StallNotice['kind'];

export type RecentAccess = Extract<RecentEvent, { kind: 'read' | 'write' }>;

/** An access in the words of `describeTrace`: `H2C[0].STATUS`, and `0x00000001 (BUSY=1)`. */
export function accessed(
  trace: CardTrace,
  { region, offset, data }: RecentAccess,
): { register: string; value: string } {
  const words = wordAccess(RegisterNames.of(trace.card), region, offset, data.length, valueOf(data));
  return { register: words.place, value: `${words.value} ${words.detail}`.trimEnd() };
}

/** ` by driver.c:212 ring_doorbell (driver, process 71)`; '' where it is not known. */
export const by = ({ origin }: RecentAccess): string => (origin ? ` ${inOneLine(wordOrigin(origin))}` : '');

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
