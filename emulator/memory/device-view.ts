/**
 * Memory as a device without hardware coherence sees it: line by line what was there when the driver last synchronised,
 * and what the device has written since that the processor has not been given yet.
 *
 * It stands for the caches between the two, at their worst at all times: nothing is ever written back by itself, nothing
 * is ever fetched again by itself, so what a driver forgets shows every time.
 *
 * Models: Linux Documentation/core-api/dma-api.rst (dma_sync_single_for_device and dma_sync_single_for_cpu).
 */
import { forEachPage, PAGE_BYTES, pageOf } from './sparse-memory';

/** A cache line: what is synchronised is rounded outwards to these. */
export const LINE_BYTES = 64;
const LINES = PAGE_BYTES / LINE_BYTES;

/**
 * What a device reads where nothing has ever been synchronised: this text, over and over, beginning at multiples of its
 * length. Its first byte is even: a descriptor made of it does not belong to the card.
 */
export const POISON = 'NOT SYNCHRONISED';
const poison = new Uint8Array(PAGE_BYTES).map((_, at) => POISON.charCodeAt(at % POISON.length));

export interface ViewCounts {
  /** Bytes that the device has read where nothing had ever been synchronised for it. */
  neverSynchronised: number;
  /** Bytes that the device has read as they had been synchronised, and that are others in memory. */
  stale: number;
  /** Bytes that the device had written and that a synchronisation for the device replaced, unseen by the processor. */
  overwritten: number;
  /** Bytes that the device has written and that are not synchronised for the processor yet. */
  awaitingCpu: number;
}

interface ViewPage {
  readonly bytes: Uint8Array;
  /** By line: it has been synchronised for the device. */
  readonly synchronised: Uint8Array;
  /** By byte: written by the device, and the processor has not been given it; absent while there is none. */
  written: Uint8Array | undefined;
}

/** More was to be remembered than the view has room for. */
export class ViewLimitError extends Error {
  override readonly name = 'ViewLimitError';
}

export class DeviceView {
  /** By page number. */
  readonly #pages = new Map<number, ViewPage>();
  readonly counts: ViewCounts = { neverSynchronised: 0, stale: 0, overwritten: 0, awaitingCpu: 0 };
  /** First byte of the last read that was given anything stale or never synchronised. */
  lastBadRead: number | undefined;

  constructor(readonly limitBytes: number) {}

  /** How much memory is remembered, in bytes: whole pages. */
  get sizeBytes(): number {
    return this.#pages.size * PAGE_BYTES;
  }

  /** Makes sure that there is room for a range, before anything is changed. Throws ViewLimitError. */
  reserve(address: number, sizeBytes: number): void {
    const room = this.limitBytes / PAGE_BYTES - this.#pages.size;
    const wanted = pageOf(address + sizeBytes - 1) - pageOf(address) + 1;
    if (wanted <= room) return;
    let missing = 0;
    if (wanted * PAGE_BYTES <= this.limitBytes) {
      for (let page = pageOf(address); page <= pageOf(address + sizeBytes - 1); page++) {
        if (!this.#pages.has(page)) missing++;
      }
      if (missing <= room) return;
    }
    throw new ViewLimitError(
      `${sizeBytes} bytes at 0x${address.toString(16)}: the view of a card that is not coherent holds ` +
        `${this.limitBytes} bytes, and ${this.sizeBytes} are taken; reset the card, or give it a larger viewLimitBytes`,
    );
  }

  /** The device writes: it sees it, nobody else does. There is room (reserve). */
  write(address: number, from: Uint8Array): void {
    forEachPage(address, from.length, (number, start, end, done) => {
      const page = this.#pageAt(number);
      page.bytes.set(from.subarray(done, done + end - start), start);
      const written = (page.written ??= new Uint8Array(PAGE_BYTES));
      this.counts.awaitingCpu += end - start - countOnes(written, start, end);
      written.fill(1, start, end);
    });
  }

  /** Makes of `bytes`, which hold what is in memory, what the device reads there. */
  read(address: number, bytes: Uint8Array): void {
    const { counts } = this;
    const before = counts.neverSynchronised + counts.stale;
    forEachPage(address, bytes.length, (number, start, end, done) => {
      const page = this.#pages.get(number);
      const part = bytes.subarray(done, done + end - start);
      if (page === undefined) {
        part.set(poison.subarray(start, end));
        counts.neverSynchronised += part.length;
      } else if (Buffer.compare(part, page.bytes.subarray(start, end)) !== 0 || page.synchronised.includes(0)) {
        this.#readLines(page, start, end, part);
      }
    });
    if (counts.neverSynchronised + counts.stale !== before) this.lastBadRead = address;
  }

  /** The processor synchronises whole lines for the device: it sees `bytes` from now on. There is room (reserve). */
  takeForDevice(address: number, bytes: Uint8Array): void {
    forEachPage(address, bytes.length, (number, start, end, done) => {
      const page = this.#pageAt(number);
      this.#forgetWritten(page, start, end, true);
      page.bytes.set(bytes.subarray(done, done + end - start), start);
      page.synchronised.fill(1, start / LINE_BYTES, end / LINE_BYTES);
    });
  }

  /** What the device has written in a range, run by run; each is given to `store` and then counts as seen. */
  giveToCpu(address: number, sizeBytes: number, store: (address: number, bytes: Uint8Array) => void): void {
    this.#forEachHeld(address, sizeBytes, (page, base, start, end) => {
      const { written } = page;
      if (written === undefined) return;
      for (let from = written.indexOf(1, start); from >= 0 && from < end;) {
        const zero = written.indexOf(0, from);
        const to = zero < 0 || zero > end ? end : zero;
        store(base + from, page.bytes.slice(from, to));
        from = written.indexOf(1, to);
      }
      this.#forgetWritten(page, start, end, false);
      this.#deleteIfEmpty(base, page);
    });
  }

  /** The memory behind a range is gone, and with it what was known of it. */
  drop(address: number, sizeBytes: number): void {
    this.#forEachHeld(address, sizeBytes, (page, base, start, end) => {
      this.#forgetWritten(page, start, end, false);
      page.synchronised.fill(0, Math.floor(start / LINE_BYTES), Math.ceil(end / LINE_BYTES));
      this.#deleteIfEmpty(base, page);
    });
  }

  /** Everything is forgotten but the counts of what has happened. */
  clear(): void {
    this.#pages.clear();
    this.counts.awaitingCpu = 0;
  }

  #readLines(page: ViewPage, start: number, end: number, part: Uint8Array): void {
    const { bytes, synchronised, written } = page;
    for (let at = start; at < end; at++) {
      if (written?.[at] === 1) part[at - start] = bytes[at]!;
      else if (synchronised[Math.floor(at / LINE_BYTES)] === 0) {
        part[at - start] = poison[at]!;
        this.counts.neverSynchronised++;
      } else if (part[at - start] !== bytes[at]) {
        part[at - start] = bytes[at]!;
        this.counts.stale++;
      }
    }
  }

  #forgetWritten(page: ViewPage, start: number, end: number, overwritten: boolean): void {
    if (page.written === undefined) return;
    const count = countOnes(page.written, start, end);
    this.counts.awaitingCpu -= count;
    if (overwritten) this.counts.overwritten += count;
    page.written.fill(0, start, end);
    if (!page.written.includes(1)) page.written = undefined;
  }

  /** A page of which nothing is known any more takes no room. */
  #deleteIfEmpty(base: number, { synchronised, written }: ViewPage): void {
    if (written === undefined && !synchronised.includes(1)) this.#pages.delete(pageOf(base));
  }

  #pageAt(number: number): ViewPage {
    let page = this.#pages.get(number);
    if (page === undefined) {
      page = { bytes: new Uint8Array(PAGE_BYTES), synchronised: new Uint8Array(LINES), written: undefined };
      this.#pages.set(number, page);
    }
    return page;
  }

  /** The pages of a range that are in the view: a range may be far larger than the view. */
  #forEachHeld(
    address: number,
    sizeBytes: number,
    visit: (page: ViewPage, base: number, start: number, end: number) => void,
  ): void {
    const [first, last] = [pageOf(address), pageOf(address + sizeBytes - 1)];
    const held = last - first < this.#pages.size ? range(first, last) : [...this.#pages.keys()];
    for (const number of held) {
      const page = number >= first && number <= last ? this.#pages.get(number) : undefined;
      if (page === undefined) continue;
      const base = number * PAGE_BYTES;
      visit(page, base, Math.max(address - base, 0), Math.min(address + sizeBytes - base, PAGE_BYTES));
    }
  }
}

/** The lines that a range touches. */
export function wholeLines(address: number, sizeBytes: number): { address: number; sizeBytes: number } {
  const start = Math.floor(address / LINE_BYTES) * LINE_BYTES;
  return { address: start, sizeBytes: Math.ceil((address + sizeBytes) / LINE_BYTES) * LINE_BYTES - start };
}

function* range(first: number, last: number): Generator<number> {
  for (let number = first; number <= last; number++) yield number;
}

function countOnes(flags: Uint8Array, start: number, end: number): number {
  let count = 0;
  for (let at = start; at < end; at++) count += flags[at]!;
  return count;
}
