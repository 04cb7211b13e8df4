/** What a trace shows about a register: the last write, and how long ago. */
import { type PciCard, Region } from '../../emulator/pci/index.ts';
import {
  type CardTrace,
  describeTrace,
  fieldsOf,
  formatValue,
  isAccess,
  RegisterNames,
  valueOf,
} from '../../instrumentation/trace/index.ts';
import { type CardValue } from './card-value.ts';

/** Events shown below a failure. */
const SHOWN = 5;

/**
 * `last write to CTRL was 0x1, 3 accesses ago`: of the register itself if it has been written, else of its block, else of
 * its BAR.
 */
export function lastWrite(trace: CardTrace, { bar, register }: CardValue): string {
  const names = RegisterNames.of(trace.card);
  const nearness = (other: { layout: typeof register }): number => {
    if (other.layout.path === register.path) return 2;
    const [mine, theirs] = [register.block, other.layout.block];
    return mine?.name === theirs?.name && mine?.index === theirs?.index ? 1 : 0;
  };
  let best: { text: string; nearness: number } | undefined;
  let accesses = 0;
  for (const event of trace.newestFirst()) {
    if (!isAccess(event) || event.region === Region.CONFIG) continue;
    const written =
      event.kind === 'write' && event.region === bar ? names.at(bar, event.offset, event.data.length) : undefined;
    if (written && nearness(written) > (best?.nearness ?? -1)) {
      const value = `${formatHex(valueOf(event.data))}${fieldsOf(written.layout, valueOf(event.data))}`;
      best = { text: `last write to ${written.name} was ${value}, ${ago(accesses)}`, nearness: nearness(written) };
    }
    if (best?.nearness === 2) break;
    accesses += event.times;
  }
  if (best) return best.text;
  return accesses === 0 ? 'the card has not been accessed' : `no register of BAR${bar} has been written`;
}

const ago = (accesses: number): string =>
  accesses === 0 ? 'the last access' : `${accesses} ${accesses === 1 ? 'access' : 'accesses'} ago`;

const reportedElsewhere = new WeakSet<PciCard>();

/** Marks a card whose events are in the report of a failed test: messages need not show them. */
export function isInReport(card: PciCard): void {
  reportedElsewhere.add(card);
}

/** The last events of the card, to be appended to a message; empty when there are none. */
export function recentEvents(trace: CardTrace, last = SHOWN): string {
  if (reportedElsewhere.has(trace.card)) return '';
  const lines = describeTrace(trace, { last, withoutConfig: true });
  const events = lines.length === 0 ? '' : `\nThe card's last accesses:\n${lines.join('\n')}`;
  const notices = trace.notices.map(({ text }) => `\nNotice: ${text}`);
  return events + notices.join('');
}

export const formatHex = (value: bigint): string => `0x${value.toString(16)}`;

/** `1`, `0x1000`, `LOOPBACK (1)`. */
export function valueInWords({ field }: CardValue, value: bigint): string {
  const name = field?.values.find((known) => BigInt(known.value) === value)?.name;
  return name === undefined ? formatValue(value) : `${name} (${formatValue(value)})`;
}
