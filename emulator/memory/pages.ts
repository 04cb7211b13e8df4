/** Ranges of memory, page by page. */
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
