/** Reads a trace from a file, event by event: complete, cut off or still being written, in one part or in two. */
import { type TraceEvent } from './event';
import { type Trace, type TraceHeader } from './format';
import { earlierPartOf } from './trace-file';
import { TracePart } from './trace-part';

/** Reads a trace event by event: complete, cut off, or still being written. */
export class TraceReader implements Disposable {
  readonly header: TraceHeader;
  #part: TracePart;
  readonly #earlierDamage: string[] = [];
  #isEnded = false;
  /** How many events of `#part` are lost by damage, up to the last that was read. */
  #lost = 0;
  /** The number of the next event, in the whole recording. */
  #next: number;
  #missed = 0;
  /** Cards and places that have been read: what the parts of a ring repeat. */
  readonly #known = new Set<string>();

  /** @throws TraceFormatError when the file is not a trace; what opening it throws */
  constructor(readonly path: string) {
    this.#part = firstPartOf(path);
    this.header = this.#part.header;
    this.#next = startOf(this.#part);
  }

  /** How many events of a ring were overwritten before they could be read. */
  get missedEvents(): number {
    return this.#missed;
  }

  /** What of the file is damaged, as far as it has been read, a sentence each. Notices among the events say where. */
  get damage(): readonly string[] {
    return [...this.#earlierDamage, ...this.#part.damage];
  }

  /** The recording was closed, as far as it has been read; otherwise the run was killed, or is still going on. */
  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** The events that have not been read yet, up to the present end of the file. Can be called again later. */
  *events(): Generator<TraceEvent> {
    for (;;) {
      yield* this.#unread();
      const newer = this.#newerPart();
      if (newer === undefined) return;
      yield* this.#unread(); // what was written before the newer part was begun
      this.#part[Symbol.dispose]();
      this.#earlierDamage.push(...this.#part.damage);
      this.#part = newer;
      this.#lost = 0;
    }
  }

  /** Closes the file. */
  [Symbol.dispose](): void {
    this.#part[Symbol.dispose]();
  }

  /** Skips repeated events: a later part begins with the cards again, and parts that are being joined overlap. */
  *#unread(): Generator<TraceEvent> {
    const { lostEvents, repeatedEvents = 0 } = this.#part.header;
    for (const event of this.#part.events()) {
      const { at, lost, isAdded } = this.#part;
      const number = lostEvents + at;
      const isRepeated = at < repeatedEvents;
      if (isRepeated ? this.#known.has(keyOf(event)) : number < this.#next && !isAdded) continue;
      if (event.kind === 'card' || event.kind === 'place') this.#known.add(keyOf(event));
      if (!isRepeated && !isAdded) {
        this.#missed += Math.max(0, number - this.#next - (lost - this.#lost));
        this.#lost = lost;
        this.#next = number + 1;
      }
      this.#isEnded ||= event.kind === 'end';
      yield event;
    }
  }

  /** The part that is being written, if it is not ours, or the part between the two. */
  #newerPart(): TracePart | undefined {
    const newest = partAt(this.path);
    if (newest === undefined) return undefined;
    if (newest.inode === this.#part.inode) {
      newest[Symbol.dispose]();
      return undefined;
    }
    const between = startOf(newest) > this.#next ? partAt(earlierPartOf(this.path)) : undefined;
    if (between === undefined) return newest;
    const [taken, left] = between.inode === this.#part.inode ? [newest, between] : [between, newest];
    left[Symbol.dispose]();
    return taken;
  }
}

/** Of a card, or of a place with what is known of it. */
const keyOf = (event: TraceEvent): string =>
  event.kind === 'place' ? `place ${event.place} ${event.name ?? ''}` : `card ${event.card}`;

/** The number of the first event that is not in an earlier part. */
const startOf = ({ header }: TracePart): number => header.lostEvents + (header.repeatedEvents ?? 0);

/** There are two while the run goes on, or when it was killed: the earlier one. */
function firstPartOf(path: string): TracePart {
  const earlier = partAt(earlierPartOf(path));
  if (earlier === undefined) return new TracePart(path);
  // It is the only one when the run was killed between the two renames.
  using part = partAt(path);
  if (part === undefined || part.header.startedAt === earlier.header.startedAt) return earlier;
  earlier[Symbol.dispose]();
  return new TracePart(path);
}

function partAt(path: string): TracePart | undefined {
  try {
    return new TracePart(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** A whole trace, in memory. */
export function readTrace(path: string): Trace {
  using reader = new TraceReader(path);
  const events = [...reader.events()];
  const { header, isEnded, damage } = reader;
  return { header, events, isEnded, ...(damage.length > 0 && { damage }) };
}
