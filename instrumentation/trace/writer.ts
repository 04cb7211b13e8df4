/** Writes a trace that is there already: a part of another, for instance. */
import { writeFileSync } from 'node:fs';
import { EventBlock } from './event-block';
import { encodeHeader } from './format';
import { type Trace } from './reader';

/** One block each, so that a reader need not hold all at once. */
const BLOCK_EVENTS = 512;

/** `events` with what they say of their times; whether it has ended, they say as well. */
export function writeTrace(path: string, { header, events }: Omit<Trace, 'isEnded'>): void {
  const block = new EventBlock();
  const parts: Buffer[] = [encodeHeader(header)];
  for (let at = 0; at < events.length; at += BLOCK_EVENTS) {
    for (const event of events.slice(at, at + BLOCK_EVENTS)) block.add(event, event.hostNs);
    parts.push(Buffer.from(block.take()));
  }
  writeFileSync(path, Buffer.concat(parts));
}
