/** A trace in words: one line for an event, with the names of registers and fields. */
import { Region } from '../../emulator/pci';
import { type CardTrace } from './card-trace';
import { type RecentEvent } from './event-ring';
import { wordsOf } from './kinds';
import { RegisterNames } from './names';
import { inOneLine, wordOrigin, wordTime } from './wording';

/** Which events of a trace. */
export interface DescribeOptions {
  /** Events described, the last ones. Default: all that are kept. */
  readonly last?: number;
  /** Leave out configuration space: many accesses when a driver is bound, and rarely what is looked for. Default false. */
  readonly withoutConfig?: boolean;
}

/** The last events, oldest first; a line above them says how many there were before. */
export function describeTrace(trace: CardTrace, options: DescribeOptions = {}): string[] {
  const { last = Infinity, withoutConfig = false } = options;
  const names = RegisterNames.of(trace.card);
  const lines: string[] = [];
  let earlier = trace.forgotten;
  for (const event of trace.newestFirst()) {
    if (withoutConfig && isAccess(event) && event.region === Region.CONFIG) continue;
    if (lines.length < last) lines.push(describeEvent(event, names));
    else earlier++;
  }
  if (earlier > 0) lines.push(`(${earlier} earlier)`);
  return lines.reverse();
}

/** `   12.345 us  read CTRL 0x00000001 (START=1)  (3 times)  last by driver.c:212 poll (driver, process 71)` */
export function describeEvent(event: RecentEvent, names: RegisterNames): string {
  const { timeNs, times, origin } = event;
  return [
    `${wordTime(timeNs)}  ${inOneLine(wordsOf(event, names))}`,
    ...(times > 1 ? [`(${times} times)`] : []),
    ...(origin ? [`${times > 1 ? 'last ' : ''}${inOneLine(wordOrigin(origin))}`] : []),
  ].join('  ');
}

export function isAccess(event: RecentEvent): event is Extract<RecentEvent, { kind: 'read' | 'write' }> {
  return event.kind === 'read' || event.kind === 'write';
}
