/**
 * Card memory that is larger than one array can be, in pieces that exist once they are touched: 8 GiB of card memory cost
 * what the driver uses of it.
 */

/** The largest card memory that is one array; the limit of an ArrayBuffer in Node 20. */
export const LARGEST_ARRAY_BYTES = 2 ** 32;

export class MemoryPieces {
  readonly #pieces = new Map<number, Uint8Array>();

  /** `make` returns the piece that begins at `offset`: zeros, or what others have written to the same memory. */
  constructor(
    readonly sizeBytes: number,
    private readonly pieceBytes: number,
    private readonly make: (offset: number) => Uint8Array,
  ) {}

  read(offset: number, data: Uint8Array): void {
    this.#visit(offset, data.length, (piece, start, end, done) => data.set(piece.subarray(start, end), done));
  }

  write(offset: number, data: Uint8Array): void {
    this.#visit(offset, data.length, (piece, start, end, done) =>
      piece.set(data.subarray(done, done + end - start), start),
    );
  }

  /** The next access makes each piece again. */
  forget(): void {
    this.#pieces.clear();
  }

  #visit(
    offset: number,
    sizeBytes: number,
    visit: (piece: Uint8Array, start: number, end: number, done: number) => void,
  ): void {
    for (let done = 0; done < sizeBytes;) {
      const start = (offset + done) % this.pieceBytes;
      const end = Math.min(this.pieceBytes, start + sizeBytes - done);
      visit(this.#piece(offset + done - start), start, end, done);
      done += end - start;
    }
  }

  #piece(offset: number): Uint8Array {
    let piece = this.#pieces.get(offset);
    if (piece === undefined) this.#pieces.set(offset, (piece = this.make(offset)));
    return piece;
  }
}
