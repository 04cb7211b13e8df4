/**
 * Who wrote a range of memory, in few words: its pieces in their order while they are few; else, as of a buffer that a loop
 * of several stores has filled, so many bytes by each writer.
 */

/** Bytes with one writer. Fewer than from `offset` to `end`: those between are others'. */
export interface Piece<Who> {
  /** Of the first byte, from the beginning of the range. */
  readonly offset: number;
  /** One past the last. */
  readonly end: number;
  readonly sizeBytes: number;
  readonly who: Who;
}

export const MOST_PIECES = 16;
/** Of a look: what takes longer than copying the bytes is left out. */
const MOST_STRETCHES = 2048;

type Growing<Who> = { -readonly [Name in keyof Piece<Who>]: Piece<Who>[Name] } & {
  /** Of `sizeBytes`, what has come since `begin`. */
  grown: number;
};

export class Pieces<Who> {
  #all: Growing<Who>[] = [];
  #isByWriter = false;
  /** While it is by writer. */
  readonly #byKey = new Map<number, Growing<Who>>();
  #lastKey = NaN;
  #stretches = 0;
  #last: Growing<Who> | undefined;

  get all(): readonly Piece<Who>[] {
    return this.#all.map(({ grown: _, ...piece }) => piece);
  }

  /**
   * The next bytes of the range. Bytes with the same `key` have the same writer, which is asked for when the key is new.
   * Returns false when there are too many writers, or stretches: these bytes have not been added.
   */
  add(key: number, offset: number, end: number, who: () => Who): boolean {
    if (++this.#stretches > MOST_STRETCHES) return false;
    const piece = key === this.#lastKey ? this.#last! : this.#find(key, offset, end, who);
    if (piece === undefined) return false;
    this.#lastKey = key;
    this.#last = piece;
    piece.sizeBytes += end - offset;
    piece.grown += end - offset;
    piece.end = end;
    return true;
  }

  /** What a key means changes: pages have owners. */
  forgetKeys(): void {
    this.#lastKey = NaN;
    this.#byKey.clear();
  }

  /** A stretch begins that `repeat` may be told of. */
  begin(): void {
    for (const piece of this.#all) piece.grown = 0;
  }

  /** What comes next is like the `sizeBytes` since `begin`, so many times. False where that cannot be said in few words. */
  repeat(sizeBytes: number, times: number): boolean {
    if (!this.#isByWriter && this.#last?.grown !== sizeBytes) return false;
    for (const piece of this.#all) {
      if (piece.grown === 0) continue;
      piece.sizeBytes += times * piece.grown;
      piece.end += times * sizeBytes;
    }
    return true;
  }

  #find(key: number, offset: number, end: number, whoOf: () => Who): Growing<Who> | undefined {
    const known = this.#byKey.get(key);
    if (known !== undefined) return known;
    const who = whoOf();
    if (!this.#isByWriter && this.#last?.who === who) return this.#last;
    if (!this.#isByWriter && this.#all.length === MOST_PIECES) this.#goByWriter();
    let piece = this.#isByWriter ? this.#all.find((each) => each.who === who) : undefined;
    if (piece === undefined) {
      if (this.#all.length === MOST_PIECES) return undefined;
      this.#all.push((piece = { offset, end, sizeBytes: 0, who, grown: 0 }));
    }
    if (this.#isByWriter) this.#byKey.set(key, piece);
    return piece;
  }

  #goByWriter(): void {
    this.#isByWriter = true;
    const byWriter = new Map<Who, Growing<Who>>();
    for (const piece of this.#all) {
      const first = byWriter.get(piece.who);
      if (first === undefined) byWriter.set(piece.who, piece);
      else {
        first.sizeBytes += piece.sizeBytes;
        first.grown += piece.grown;
        first.end = piece.end;
      }
    }
    this.#all = [...byWriter.values()];
  }
}
