/**
 * Two runs use host memory at different addresses for the same things. Which address of one run is which of the other
 * is found while they are compared, and must stay the same: a mistaken buffer is a difference.
 */
import { type TraceEvent, valueOf } from '../trace';

/** Everything that a driver gives to a card is aligned to more. */
const LINE_BYTES = 16;
const lineOf = (address: number): number => Math.floor(address / LINE_BYTES);

/** Where the card accessed host memory: a number in such a line is taken for an address wherever it appears. */
export function linesOf(events: Iterable<TraceEvent>): Set<number> {
  const lines = new Set<number>();
  for (const event of events) if ('channel' in event) lines.add(lineOf(event.iova));
  return lines;
}

export class SameMemory {
  readonly #ofA = new Map<number, number>();
  readonly #ofB = new Map<number, number>();
  /** Pairs of addresses that are not the same number. */
  readonly renamed: { readonly a: number; readonly b: number }[] = [];

  constructor(
    private readonly linesA: ReadonlySet<number>,
    private readonly linesB: ReadonlySet<number>,
    /** Any address is the same as any other. */
    readonly ignoresAddresses = false,
  ) {}

  /** Whether both addresses are the same place. */
  isSame(a: number, b: number): boolean {
    if (this.ignoresAddresses) return true;
    if (a % LINE_BYTES !== b % LINE_BYTES) return false;
    const [lineA, lineB] = [lineOf(a), lineOf(b)];
    const [known, knownBack] = [this.#ofA.get(lineA), this.#ofB.get(lineB)];
    if (known !== undefined || knownBack !== undefined) return known === lineB && knownBack === lineA;
    this.#ofA.set(lineA, lineB);
    this.#ofB.set(lineB, lineA);
    if (a !== b) this.renamed.push({ a, b });
    return true;
  }

  /** Whether bytes are equal, apart from addresses in them: aligned words of 4 or 8 bytes, little-endian. */
  isSameData(a: Uint8Array, b: Uint8Array): boolean {
    if (a.length !== b.length) return false;
    for (let at = 0; at < a.length; at += 8) {
      const [wordA, wordB] = [a.subarray(at, at + 8), b.subarray(at, at + 8)];
      if (Buffer.compare(wordA, wordB) === 0) continue;
      if (!this.#isSameAddress(wordA, wordB) && !this.#hasSameHalves(wordA, wordB)) return false;
    }
    return true;
  }

  #hasSameHalves(a: Uint8Array, b: Uint8Array): boolean {
    if (a.length !== 8) return false;
    return [0, 4].every((at) => {
      const [halfA, halfB] = [a.subarray(at, at + 4), b.subarray(at, at + 4)];
      return Buffer.compare(halfA, halfB) === 0 || this.#isSameAddress(halfA, halfB);
    });
  }

  #isSameAddress(a: Uint8Array, b: Uint8Array): boolean {
    if (a.length !== 4 && a.length !== 8) return false;
    const [addressA, addressB] = [Number(valueOf(a)), Number(valueOf(b))];
    return this.linesA.has(lineOf(addressA)) && this.linesB.has(lineOf(addressB)) && this.isSame(addressA, addressB);
  }
}
