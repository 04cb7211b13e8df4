/**
 * Shadows of guest RAM: a mark of 64 bits for each eight bytes. Who wrote them last, as the plugin marks them; and what cards
 * have done there. Mapped piece by piece, when they are looked at.
 */
import { type Native } from '../../emulator/native';
import { MARK, MARKED_BYTES } from './layout';

const PIECE_BYTES = 2 ** 28;

/** What bytes are marked with: the lower 32 bits and the upper ones; 0 and 0: with nothing. */
export interface Mark {
  readonly low: number;
  readonly high: number;
  readonly sizeBytes: number;
}

/** Part of a shadow. Mark n is `words[2 * n]`, and above it `words[2 * n + 1]`. */
export interface MarksPiece {
  readonly words: Uint32Array;
  readonly marks: BigUint64Array;
  readonly bytes: Buffer;
}

export class Shadow implements Disposable {
  readonly #pieces = new Map<number, MarksPiece & { buffer: ArrayBuffer }>();

  /** Use `SharedFile.shadow`. */
  constructor(
    private readonly native: Native,
    private readonly fd: number,
    private readonly fileOffset: number,
    /** Physical addresses from 0 up to here have a shadow. */
    readonly sizeBytes: number,
  ) {}

  /**
   * The mark of the byte at an address, and how many bytes from there on it is of, up to `end` and in the same eight. What
   * it is not of may be marked in the shadow of `others`.
   */
  markAt(address: number, end: number, others?: Shadow): Mark {
    const word = address - (address % MARKED_BYTES);
    if (address >= this.sizeBytes) return { low: 0, high: 0, sizeBytes: end - address };
    const { words } = this.#pieceOf(address);
    const index = 2 * indexOf(address);
    const low = words[index]!;
    const bytes = low >>> MARK.bytesAt;
    const isOwn = ((bytes >>> (address - word)) & 1) === 1;
    let next = address + 1;
    while (next < end && next < word + MARKED_BYTES && (((bytes >>> (next - word)) & 1) === 1) === isOwn) next++;
    if (isOwn) return { low, high: words[index + 1]!, sizeBytes: next - address };
    return others?.markAt(address, next) ?? { low: 0, high: 0, sizeBytes: next - address };
  }

  /** Keeps the marks of words that a range touches in part in the shadow of `others`, before it is set. */
  keepOthers(address: number, sizeBytes: number, others: Shadow): void {
    for (const at of new Set([address, address + sizeBytes - 1])) {
      if (at >= this.sizeBytes) continue;
      const { marks, words } = this.#pieceOf(at);
      const index = indexOf(at);
      const word = at - (at % MARKED_BYTES);
      const isKept =
        ((words[2 * index]! >>> MARK.bytesAt) & 0xff & ~bytesBetween(word, address, address + sizeBytes)) !== 0;
      if (isKept) others.#pieceOf(at).marks[index] = marks[index]!;
    }
  }

  /** Whether the marks of two ranges are the same. False also of a range that does not lie in one piece. */
  isSame(address: number, other: number, sizeBytes: number): boolean {
    if ([address, other].some((at) => (at % PIECE_BYTES) + sizeBytes > PIECE_BYTES || at + sizeBytes > this.sizeBytes))
      return false;
    const [one, two] = [this.#pieceOf(address), this.#pieceOf(other)];
    const [from, otherFrom] = [address % PIECE_BYTES, other % PIECE_BYTES];
    return one.bytes.compare(two.bytes, otherFrom, otherFrom + sizeBytes, from, from + sizeBytes) === 0;
  }

  /** Sets the marks of all that a range touches, at most to the end of RAM. `low` is without the bytes. */
  set(address: number, sizeBytes: number, low: number, high: number, bytesAt: number): void {
    const end = Math.min(address + sizeBytes, this.sizeBytes);
    this.each(address, sizeBytes, ({ marks }, first, last, at) => {
      const mark = (bytes: number): bigint => (BigInt(high) << 32n) | BigInt((low | (bytes << bytesAt)) >>> 0);
      const begin = at - (at % MARKED_BYTES);
      marks.fill(mark(0xff), first, last + 1);
      marks[first] = mark(bytesBetween(begin, at, end));
      if (last > first) marks[last] = mark(bytesBetween(begin + (last - first) * MARKED_BYTES, at, end));
    });
  }

  /** Visits the marks `first` to `last` of a range that begins at `address`, piece by piece. */
  each(
    address: number,
    sizeBytes: number,
    visit: (piece: MarksPiece, first: number, last: number, address: number) => void,
  ): void {
    const end = Math.min(address + sizeBytes, this.sizeBytes);
    for (let at = address; at < end;) {
      const next = Math.min(end, (Math.floor(at / PIECE_BYTES) + 1) * PIECE_BYTES);
      visit(this.#pieceOf(at), indexOf(at), indexOf(next - 1), at);
      at = next;
    }
  }

  [Symbol.dispose](): void {
    for (const { buffer } of this.#pieces.values()) this.native.unmap(buffer);
    this.#pieces.clear();
  }

  #pieceOf(address: number): MarksPiece {
    const number = Math.floor(address / PIECE_BYTES);
    let piece = this.#pieces.get(number);
    if (piece === undefined) {
      const start = number * PIECE_BYTES;
      const size = Math.min(PIECE_BYTES, this.sizeBytes - start);
      const buffer = this.native.map(this.fd, this.fileOffset + start, size, true);
      piece = {
        buffer,
        marks: new BigUint64Array(buffer),
        words: new Uint32Array(buffer),
        bytes: Buffer.from(buffer),
      };
      this.#pieces.set(number, piece);
    }
    return piece;
  }
}

/** The number of the place of code in the lower half of a mark. */
export const placeOf = (low: number): number => low & (2 ** MARK.placeBits - 1);

/** Which of the eight bytes from `word` on are between two addresses, the lowest first. */
export function bytesBetween(word: number, start: number, end: number): number {
  const from = Math.max(0, start - word);
  const to = Math.min(MARKED_BYTES, end - word);
  return ((1 << to) - 1) & ~((1 << from) - 1);
}

/** In its piece. */
const indexOf = (address: number): number => Math.floor((address % PIECE_BYTES) / MARKED_BYTES);
