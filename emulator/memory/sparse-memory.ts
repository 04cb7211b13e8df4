/** Memory that is held page by page: how a range is cut into pages, and memory of which only some bytes are known. */
export const PAGE_BYTES = 4096;

/** The number of the page that holds `address`. */
export const pageOf = (address: number): number => Math.floor(address / PAGE_BYTES);

/** `visit` gets the page's number, where the range begins and ends in it, and how many bytes were before it. */
export function forEachPage(
  address: number,
  sizeBytes: number,
  visit: (number: number, start: number, end: number, done: number) => void,
): void {
  for (let done = 0; done < sizeBytes;) {
    const start = (address + done) % PAGE_BYTES;
    const length = Math.min(PAGE_BYTES - start, sizeBytes - done);
    visit(pageOf(address + done), start, start + length, done);
    done += length;
  }
}

interface Page {
  readonly bytes: Uint8Array;
  readonly known: Uint8Array;
}

export class SparseMemory {
  readonly #pages = new Map<number, Page>();

  write(address: number, from: Uint8Array): void {
    forEachPage(address, from.length, (number, start, end, done) => {
      const page = this.#pages.get(number) ?? { bytes: new Uint8Array(PAGE_BYTES), known: new Uint8Array(PAGE_BYTES) };
      this.#pages.set(number, page);
      page.bytes.set(from.subarray(done, done + end - start), start);
      page.known.fill(1, start, end);
    });
  }

  /** Unknown bytes are 0; returns how many there were. */
  read(address: number, into: Uint8Array): number {
    let unknown = 0;
    forEachPage(address, into.length, (number, start, end, done) => {
      const page = this.#pages.get(number);
      if (page === undefined) into.fill(0, done, done + end - start);
      else into.set(page.bytes.subarray(start, end), done);
      for (let at = start; at < end; at++) if (page?.known[at] !== 1) unknown++;
    });
    return unknown;
  }

  /** The runs of `bytes` that are others here, or not known. */
  differing(address: number, bytes: Uint8Array): { readonly address: number; readonly bytes: Uint8Array }[] {
    const runs: { address: number; bytes: Uint8Array }[] = [];
    let from = -1;
    for (let at = 0; at <= bytes.length; at++) {
      const isOther = at < bytes.length && !this.#holds(address + at, bytes[at]!);
      if (isOther && from < 0) from = at;
      if (isOther || from < 0) continue;
      runs.push({ address: address + from, bytes: bytes.slice(from, at) });
      from = -1;
    }
    return runs;
  }

  #holds(address: number, byte: number): boolean {
    const page = this.#pages.get(pageOf(address));
    return page !== undefined && page.known[address % PAGE_BYTES] === 1 && page.bytes[address % PAGE_BYTES] === byte;
  }
}
