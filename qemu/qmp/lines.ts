/** Splits a byte stream into lines, however it is chunked. QMP sends one JSON object per line, ended by CR LF. */
const LINE_FEED = 0x0a;

/** Maximum length of a line. QMP's largest replies (query-qmp-schema) have about 200 KiB. */
export const MAX_LINE_BYTES = 16 * 1024 * 1024;

export class LineSplitter {
  private held: Buffer[] = [];
  private heldBytes = 0;

  constructor(private readonly maxLineBytes = MAX_LINE_BYTES) {}

  /**
   * Returns the lines that `chunk` completes, without line ends and empty lines. @throws RangeError if a line is too
   * long
   */
  push(chunk: Buffer): string[] {
    const lines: string[] = [];
    let start = 0;
    for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, start)) {
      this.hold(chunk.subarray(start, end));
      const line = Buffer.concat(this.held).toString('utf8').trim();
      this.held = [];
      this.heldBytes = 0;
      start = end + 1;
      if (line !== '') lines.push(line);
    }
    this.hold(chunk.subarray(start));
    return lines;
  }

  private hold(piece: Buffer): void {
    this.heldBytes += piece.length;
    if (this.heldBytes > this.maxLineBytes) {
      throw new RangeError(`Received more than ${this.maxLineBytes} bytes without a line end.`);
    }
    if (piece.length > 0) this.held.push(piece);
  }
}
