/**
 * Parts of a BAR that the library answers instead of the card's author: the MSI-X table, its pending bits, the table of
 * platform devices. They have a BAR to themselves, or lie in one of the author's, as on most real cards.
 *
 * Source: PCI Local Bus Spec 3.0, 6.8.2 (a function's MSI-X structures may share a BAR with other registers).
 */
import { type RegisterMap } from '../registers';
import { type BarTarget } from './bars';

export interface BarWindow {
  readonly bar: number;
  /** Offset in the BAR, and size, in bytes. */
  readonly offset: number;
  readonly sizeBytes: number;
  /** What it holds, for error messages: 'the MSI-X table'. */
  readonly label: string;
  readonly target: BarTarget;
  /** Names its registers, where it has any. */
  readonly map?: RegisterMap;
}

export interface ByteRange {
  readonly offset: number;
  readonly sizeBytes: number;
}

const endOf = ({ offset, sizeBytes }: ByteRange): number => offset + sizeBytes;

export const overlap = (a: ByteRange, b: ByteRange): boolean => a.offset < endOf(b) && b.offset < endOf(a);

/** The parts of a BAR of `sizeBytes` outside its windows, each window rounded out to multiples of `granuleBytes`. */
export function outside(sizeBytes: number, windows: readonly ByteRange[], granuleBytes = 1): ByteRange[] {
  const areas: ByteRange[] = [];
  let from = 0;
  for (const window of [...windows].sort((a, b) => a.offset - b.offset)) {
    const to = Math.floor(window.offset / granuleBytes) * granuleBytes;
    if (to > from) areas.push({ offset: from, sizeBytes: to - from });
    from = Math.max(from, Math.ceil(endOf(window) / granuleBytes) * granuleBytes);
  }
  if (from < sizeBytes) areas.push({ offset: from, sizeBytes: sizeBytes - from });
  return areas;
}

/** What a BAR holds that the author has put nothing into: reads 0, ignores writes. */
export const NOTHING: BarTarget = { read: (_, data) => void data.fill(0), write: () => {} };

/** A BAR with windows: an access is split between them and what lies below, lowest address first. */
export class WindowedTarget implements BarTarget {
  constructor(
    private readonly below: BarTarget,
    private readonly windows: readonly BarWindow[],
  ) {}

  read(barOffset: number, data: Uint8Array): void {
    if (this.#isBelow(barOffset, data)) this.below.read(barOffset, data);
    else this.#split(barOffset, data, (target, offset, part) => target.read(offset, part));
  }

  write(barOffset: number, data: Uint8Array): void {
    if (this.#isBelow(barOffset, data)) this.below.write(barOffset, data);
    else this.#split(barOffset, data, (target, offset, part) => target.write(offset, part));
  }

  #isBelow(barOffset: number, { length }: Uint8Array): boolean {
    for (const { offset, sizeBytes } of this.windows) {
      if (barOffset < offset + sizeBytes && offset < barOffset + length) return false;
    }
    return true;
  }

  #split(
    barOffset: number,
    data: Uint8Array,
    access: (target: BarTarget, offset: number, part: Uint8Array) => void,
  ): void {
    const end = barOffset + data.length;
    for (let at = barOffset; at < end;) {
      const within = this.windows.find((window) => window.offset <= at && at < endOf(window));
      const next = this.windows.filter(({ offset }) => offset > at).map(({ offset }) => offset);
      const to = Math.min(end, within ? endOf(within) : Math.min(...next));
      const part = data.subarray(at - barOffset, to - barOffset);
      if (within) access(within.target, at - within.offset, part);
      else access(this.below, at, part);
      at = to;
    }
  }
}
