/** A trace in words: one line for an event, with the names of registers and fields. */
import { Region } from '../../emulator/pci';
import { type CardTrace } from './card-trace';
import { type RecentEvent } from './event-ring';
import { RegisterNames } from './names';
import { wordAccess, wordInterrupt, wordRange, wordReset, wordTime } from './wording';

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

/** `   12.345 us  write CTRL 0x00000001 (START=1)` */
export function describeEvent(event: RecentEvent, names: RegisterNames): string {
  const times = event.times > 1 ? `  (${event.times} times)` : '';
  return `${wordTime(event.timeNs)}  ${whatOf(event, names)}${times}`;
}

function whatOf(event: RecentEvent, names: RegisterNames): string {
  switch (event.kind) {
    case 'read':
    case 'write': {
      const { place, value, detail } = wordAccess(
        names,
        event.region,
        event.offset,
        event.data.length,
        valueOf(event.data),
      );
      return `${event.kind.padEnd(5)} ${place} ${value} ${detail}`.trimEnd();
    }
    case 'dma-read':
    case 'dma-write': {
      const failure = event.error === undefined ? '' : `: failed, ${event.error}`;
      return `DMA ${event.kind === 'dma-read' ? 'reads' : 'writes'} ${wordRange(event.sizeBytes, event.iova)}${failure}`;
    }
    case 'interrupt':
      return `interrupt ${wordInterrupt(event.index, event.vector)}`;
    case 'reset':
      return wordReset(event.reset);
    case 'fault':
      return `fault ${event.fault}: ${event.what}`;
    case 'connected':
    case 'disconnected':
      return `client ${event.kind}`;
    default:
      return event.kind;
  }
}

export function isAccess(event: RecentEvent): event is Extract<RecentEvent, { kind: 'read' | 'write' }> {
  return event.kind === 'read' || event.kind === 'write';
}

/** The little-endian value of the first eight bytes. */
export function valueOf(data: Uint8Array): bigint {
  let value = 0n;
  for (let i = Math.min(data.length, 8); i-- > 0;) value = (value << 8n) | BigInt(data[i]!);
  return value;
}
