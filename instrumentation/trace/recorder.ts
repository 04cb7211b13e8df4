/**
 * Writes a trace to a file, for every card that is recorded with it. An event is in the file a moment later, whatever
 * becomes of this process. An error in writing ends the recording, and nothing else.
 */
import { type EventEmitter } from 'node:events';
import { version } from '../../emulator/folders';
import { type CardDescription } from './card-description';
import { type CardAddedEvent, type MarkEvent, type PlaceEvent, type Unstamped } from './event';
import { EventBlock } from './event-block';
import { FORMAT, FORMAT_VERSION, type Payloads, type TraceHeader } from './format';
import { type Block, TraceFile } from './trace-file';

/** What a recorder writes, and how much it keeps. */
export interface RecorderOptions {
  /** Default 'full'. */
  readonly payloads?: Payloads;
  /** Disable BAR mappings (mmap), so that every access of card memory is recorded. Default false. */
  readonly disableMmap?: boolean;
  /**
   * Keep only the end: at most so many bytes on the disk, and always at least the last half of them. Larger DMA
   * payloads than a quarter of it are recorded as hashes. Default: keep everything.
   */
  readonly ringBytes?: number;
  /** Called once, when the file cannot be written any more. Default: print to standard error. */
  readonly onFailure?: (message: string) => void;
}

/** How long an event stays in memory at most. */
const FLUSH_AFTER_MS = 200;
/** The size at which a block is written. */
const BLOCK_BYTES = 32 << 10;
/** The share of a ring that one payload may take: a block of events with it still fits into half of the ring. */
const PAYLOAD_SHARE = 1 / 4;

/** A process that exits without closing its recorders still writes what they hold. */
const open = new Set<TraceRecorder>();
/** The second: the watchdog (`emulator/watchdog`) is about to end the process, since a card's model does not return. */
const ENDS = ['exit', 'ghostcard:ends'];
let flushesAtEnd = false;

/** Writes what happens to cards into a file, as it happens. */
export class TraceRecorder {
  readonly payloads: Payloads;
  /** Larger ones are recorded as hashes, if payloads are recorded in full. */
  readonly largestPayloadBytes: number;
  readonly disablesMmap: boolean;
  readonly #file: TraceFile;
  readonly #onFailure: (message: string) => void;
  readonly #startedAt = process.hrtime();
  readonly #block = new EventBlock();
  /** Cards and places, which each part of a ring repeats; and how many of them are in the file. */
  readonly #repeated: { event: Unstamped<CardAddedEvent | PlaceEvent>; hostNs: number }[] = [];
  #writtenRepeated = 0;
  #timer: NodeJS.Timeout | undefined;
  #flushDueNs = Infinity;
  #nextCard = 0;
  #isOver = false;

  /** @throws what opening the file throws */
  constructor(
    readonly path: string,
    { payloads = 'full', disableMmap = false, ringBytes = Infinity, onFailure = printFailure }: RecorderOptions = {},
  ) {
    this.payloads = payloads;
    this.largestPayloadBytes = ringBytes * PAYLOAD_SHARE;
    this.disablesMmap = disableMmap;
    this.#onFailure = onFailure;
    const startedAt = new Date().toISOString();
    const header: TraceHeader = {
      format: FORMAT,
      version: FORMAT_VERSION,
      writer: version,
      startedAt,
      payloads,
      ...(ringBytes < Infinity && { largestPayloadBytes: this.largestPayloadBytes }),
      lostEvents: 0,
    };
    this.#file = new TraceFile(path, header, ringBytes / 2);
    open.add(this);
    if (!flushesAtEnd) for (const end of ENDS) (process as EventEmitter).on(end, flushAll);
    flushesAtEnd = true;
  }

  /** How many events have been recorded, those that a ring has lost included. */
  get events(): number {
    return this.#file.events + this.#block.count;
  }

  /** The recorded cards; one that was plugged in again is listed again. */
  get cards(): readonly CardDescription[] {
    return this.#repeated.flatMap(({ event }) => (event.kind === 'card' ? event.description : []));
  }

  /** The number of the next card. */
  nextCard(): number {
    return ++this.#nextCard;
  }

  /** Records an event; its bytes are copied. */
  record(event: Unstamped): void {
    if (this.#isOver) return;
    const hostNs = this.#now();
    if (event.kind === 'card' || event.kind === 'place') this.#repeated.push({ event, hostNs });
    this.#block.add(event, hostNs);
    // While the thread is busy the timer does not fire; then the next event flushes.
    if (this.#block.byteLength >= BLOCK_BYTES || hostNs >= this.#flushDueNs) this.flush();
    else if (this.#timer === undefined) {
      this.#flushDueNs = hostNs + FLUSH_AFTER_MS * 1e6;
      this.#timer = setTimeout(() => this.flush(), FLUSH_AFTER_MS).unref();
    }
  }

  /** Writes a remark, to find a place again. */
  mark(text: string, from: MarkEvent['from'] = 'host'): void {
    this.record({ kind: 'mark', card: 0, timeNs: 0, from, text });
  }

  /** Writes to the file what has been recorded up to now. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#flushDueNs = Infinity;
    const { count } = this.#block;
    if (count === 0 || this.#isOver) return;
    this.#orGiveUp(() => {
      const bytes = this.#block.take();
      if (this.#file.isFullFor(bytes.length)) this.#file.beginPart(this.#preface());
      this.#file.append({ bytes, count });
      this.#writtenRepeated = this.#repeated.length;
    });
  }

  /** Ends the recording; later events are not recorded. */
  close(): void {
    this.record({ kind: 'end', card: 0, timeNs: 0 });
    this.flush();
    if (this.#isOver) return;
    this.#end();
    this.#orGiveUp(() => this.#file.close());
  }

  #preface(): Block {
    const block = new EventBlock();
    for (const { event, hostNs } of this.#repeated.slice(0, this.#writtenRepeated)) block.add(event, hostNs);
    const { count } = block;
    return { bytes: block.take(), count };
  }

  #now(): number {
    const [seconds, nanoseconds] = process.hrtime();
    return (seconds - this.#startedAt[0]) * 1e9 + (nanoseconds - this.#startedAt[1]);
  }

  #orGiveUp(write: () => void): void {
    try {
      write();
    } catch (error) {
      this.#end();
      this.#file.abandon();
      this.#onFailure(
        `the trace ${this.path} cannot be written any more: ${(error as Error).message}. ` +
          `It can be read up to here (${this.#file.events} events); what comes now is not recorded`,
      );
    }
  }

  #end(): void {
    this.#isOver = true;
    open.delete(this);
  }
}

const flushAll = (): void => open.forEach((recorder) => recorder.flush());

const printFailure = (message: string): void => console.error(`ghostcard: ${message}`);
