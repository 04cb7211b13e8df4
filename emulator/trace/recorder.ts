/**
 * Writes a trace to a file, for every card that is given to it. What has happened is in the file a moment later, whatever
 * becomes of this process.
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import { version } from '../../package.json';
import { type TraceEvent } from './event';
import { encodeEvents, encodeHeader, FORMAT, FORMAT_VERSION, type Payloads } from './format';

export interface RecorderOptions {
  /** Default 'full'. */
  readonly payloads?: Payloads;
  /** Take windows of cards that the guest could map away from it, so that every access of them is seen. Default false. */
  readonly unmapWindows?: boolean;
}

/** An event without what the recorder adds. */
export type Unstamped<E = TraceEvent> = E extends TraceEvent ? Omit<E, 'hostNs'> : never;

/** How long an event may lie in memory, at most. */
const FLUSH_AFTER_MS = 200;
/** Events, and bytes of payload, that are written together. */
const BLOCK_EVENTS = 512;
const BLOCK_BYTES = 256 << 10;

export class TraceRecorder {
  readonly payloads: Payloads;
  readonly unmapsWindows: boolean;
  readonly #fd: number;
  readonly #startedAt = process.hrtime();
  #block: TraceEvent[] = [];
  #blockBytes = 0;
  #timer: NodeJS.Timeout | undefined;
  #flushDueNs = Infinity;
  #cards = 0;
  #closed = false;

  /** Throws what opening the file throws. */
  constructor(
    readonly path: string,
    { payloads = 'full', unmapWindows = false }: RecorderOptions = {},
  ) {
    this.payloads = payloads;
    this.unmapsWindows = unmapWindows;
    this.#fd = openSync(path, 'w');
    this.#write(
      encodeHeader({
        format: FORMAT,
        version: FORMAT_VERSION,
        writer: version,
        startedAt: new Date().toISOString(),
        payloads,
        lostEvents: 0,
      }),
    );
  }

  /** The number of the next card. */
  nextCard(): number {
    return ++this.#cards;
  }

  /** Takes an event; what it holds must not change afterwards. */
  record(event: Unstamped): void {
    if (this.#closed) return;
    const hostNs = this.#now();
    this.#block.push({ ...event, hostNs } as TraceEvent);
    if ('data' in event && event.data) this.#blockBytes += event.data.length;
    // The timer does not come while the thread is kept busy; then the next event sees to it.
    if (this.#block.length >= BLOCK_EVENTS || this.#blockBytes >= BLOCK_BYTES || hostNs >= this.#flushDueNs) {
      this.flush();
    } else if (this.#timer === undefined) {
      this.#flushDueNs = hostNs + FLUSH_AFTER_MS * 1e6;
      this.#timer = setTimeout(() => this.flush(), FLUSH_AFTER_MS).unref();
    }
  }

  mark(text: string, from: 'guest' | 'host' | 'command' = 'host'): void {
    this.record({ kind: 'mark', card: 0, timeNs: 0, from, text });
  }

  /** What has been taken up to now is in the file after this. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#flushDueNs = Infinity;
    if (this.#block.length === 0) return;
    const block = this.#block;
    this.#block = [];
    this.#blockBytes = 0;
    this.#write(encodeEvents(block));
  }

  /** Ends the recording; what comes afterwards is not recorded. */
  close(): void {
    if (this.#closed) return;
    this.record({ kind: 'end', card: 0, timeNs: 0 });
    this.#closed = true;
    this.flush();
    closeSync(this.#fd);
  }

  #now(): number {
    const [seconds, nanoseconds] = process.hrtime();
    return (seconds - this.#startedAt[0]) * 1e9 + (nanoseconds - this.#startedAt[1]);
  }

  #write(bytes: Buffer): void {
    for (let done = 0; done < bytes.length;) done += writeSync(this.#fd, bytes, done);
  }
}
