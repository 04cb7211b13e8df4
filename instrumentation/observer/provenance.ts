/** Whose bytes guest RAM holds: the code, or the DMA of a card, that wrote them last. */
import { type DmaEvent } from '../../emulator/pci';
import { type Doorbell } from './doorbells';
import { MARK, MARKED_BYTES, MAX_PLACES, PAGE_BYTES } from './layout';
import { type Piece, Pieces } from './pieces';
import { placeOf } from './shadow';
import { type RamRange, type SharedFile } from './shared-file';

/** Code of the guest that has accessed memory. */
export interface CodeWriter {
  readonly by: 'code';
  readonly pc: bigint;
  /** Where the function that it is in returns to, if that is known. */
  readonly caller?: bigint;
  readonly isKernel: boolean;
  /** The process that was the last to write to this page from user space; 0 when it is not known. */
  readonly pid: number;
}

/** A channel of a card. */
export interface DmaWriter {
  readonly by: 'dma';
  readonly card: string;
  readonly channel: string;
  readonly role: DmaEvent['role'];
  /** Which access it was; undefined when that was too long ago. */
  readonly access?: DmaWrite;
}

export interface DmaWrite {
  readonly iova: number;
  readonly sizeBytes: number;
  /** Device time. */
  readonly timeNs: number;
  /** The descriptor that the channel had read last, or the descriptors, if the card says which they are. */
  readonly descriptor: { readonly iova: number; readonly sizeBytes: number } | undefined;
  /** The register write that had started the channel. */
  readonly doorbell: Doorbell | undefined;
}

export type Writer = CodeWriter | DmaWriter;

/** Bytes that have the same writer, and were loaded last by the same code. */
export interface WrittenRun {
  readonly address: number;
  readonly sizeBytes: number;
  /** Undefined: nobody that is known, since the guest was started. */
  readonly writer: Writer | undefined;
  /** Of a page that a card has accessed: who has loaded them last, if that is known. */
  readonly loader?: CodeWriter;
}

/** DMA writes that are remembered. A power of two. */
const REMEMBERED = 1 << 15;

export class Provenance {
  /** What writes, by the number of its place. */
  readonly #sources: Omit<DmaWriter, 'access'>[] = [];
  readonly #writes: DmaWrite[] = [];
  /** Of the last write; modulo 2^32. */
  #last = 0;

  constructor(private readonly file: SharedFile) {}

  /** A card has written to these ranges of memory. */
  dmaWrote(
    { card, channel, role }: Omit<DmaWriter, 'by' | 'access'>,
    access: DmaWrite,
    memory: readonly RamRange[],
  ): void {
    let source = this.#sources.findIndex(
      (known) => known.card === card && known.channel === channel && known.role === role,
    );
    if (source < 0) source = this.#sources.push({ by: 'dma', card, channel, role }) - 1;
    this.#last = (this.#last + 1) >>> 0;
    this.#writes[this.#last % REMEMBERED] = access;
    for (const { address, sizeBytes } of memory) {
      this.file.shadow.keepOthers(address, sizeBytes, this.file.others);
      this.file.shadow.set(address, sizeBytes, MAX_PLACES + source, this.#last, MARK.bytesAt);
    }
  }

  /** Who wrote the bytes of a range of physical addresses, in their order. */
  of(address: number, sizeBytes: number): WrittenRun[] {
    const runs: (Omit<WrittenRun, 'sizeBytes'> & { sizeBytes: number; readonly key: string })[] = [];
    const end = address + sizeBytes;
    for (let at = address; at < end;) {
      const loaded = this.file.loads.markAt(at, end);
      const written = this.file.shadow.markAt(at, at + loaded.sizeBytes, this.file.others);
      const key = [written.low, written.high, loaded.low, loaded.high, this.#ownerOf(at)].join(' ');
      const last = runs.at(-1);
      if (last?.key === key) last.sizeBytes += written.sizeBytes;
      else {
        const loader = this.#who(loaded.low, loaded.high, at);
        const isCode = loader?.by === 'code';
        const writer = this.#who(written.low, written.high, at);
        runs.push({ address: at, sizeBytes: written.sizeBytes, writer, ...(isCode && { loader }), key });
      }
      at += written.sizeBytes;
    }
    return runs.map(({ key: _, ...run }) => run);
  }

  /**
   * The same for what is looked at often, in at most `MOST_PIECES` pieces. It is short of bytes where there are more
   * writers, or where so many stretches alternate that it would take long. `whoIs` gives the same object for the same
   * writer.
   */
  pieces<Who>(address: number, sizeBytes: number, whoIs: (writer: Writer | undefined) => Who): readonly Piece<Who>[] {
    const { shadow } = this.file;
    const pieces = new Pieces<Who>();
    const limit = address + sizeBytes;
    /** The last page, where it was looked at as a whole. */
    let before: number | undefined;
    /** How many pages to compare with it at once. */
    let step = 1;
    for (let at = address; at < limit;) {
      const end = Math.min(limit, (Math.floor(at / PAGE_BYTES) + 1) * PAGE_BYTES);
      const isWhole = end - at === PAGE_BYTES;
      const most =
        isWhole && before !== undefined ? this.#pagesOfOwner(at, before, Math.min(step, (limit - at) / PAGE_BYTES)) : 0;
      if (most > 0 && shadow.isSame(before!, at, most * PAGE_BYTES) && pieces.repeat(PAGE_BYTES, most)) {
        at += most * PAGE_BYTES;
        before = at - PAGE_BYTES;
        step *= 2;
      } else if (most > 1) step = 1;
      else {
        if (most === 0) pieces.forgetKeys();
        pieces.begin();
        if (!this.#addPage(pieces, address, at, end, whoIs)) break;
        before = isWhole ? at : undefined;
        at = end;
        step = 1;
      }
    }
    return pieces.all;
  }

  /** How many whole pages from an address on have the owner of another page, and lie in a piece of the shadow; at most `most`. */
  #pagesOfOwner(address: number, other: number, most: number): number {
    const owner = this.#ownerOf(other);
    let pages = 0;
    while (pages + 1 <= most && this.#ownerOf(address + pages * PAGE_BYTES) === owner) pages++;
    return pages;
  }

  /** Of one page. Returns false when there are too many writers or stretches. */
  #addPage<Who>(
    pieces: Pieces<Who>,
    base: number,
    from: number,
    end: number,
    whoIs: (writer: Writer | undefined) => Who,
  ): boolean {
    const { shadow, others } = this.file;
    let hasRoom = true;
    const add = (at: number, next: number, low: number, high: number): void => {
      const place = placeOf(low);
      const key = place < MAX_PLACES ? place : MAX_PLACES + high;
      hasRoom &&= pieces.add(key, at - base, next - base, () => whoIs(this.#who(low, high, at)));
    };
    if (from >= shadow.sizeBytes) add(from, end, 0, 0);
    shadow.each(from, end - from, ({ words }, first, last, start) => {
      let at = start;
      for (let index = first; index <= last && hasRoom;) {
        const low = words[2 * index]!;
        const high = words[2 * index + 1]!;
        if (low >>> MARK.bytesAt !== 0xff) {
          const next = Math.min(end, at - (at % MARKED_BYTES) + MARKED_BYTES);
          for (let mark; at < next; at += mark.sizeBytes) {
            mark = shadow.markAt(at, next, others);
            add(at, at + mark.sizeBytes, mark.low, mark.high);
          }
          index++;
          continue;
        }
        // Epochs do not matter, of which the upper bits are of what code writes.
        const isOfDma = placeOf(low) >= MAX_PLACES;
        const begin = index;
        do index++;
        while (index <= last && words[2 * index] === low && (!isOfDma || words[2 * index + 1] === high));
        const next = Math.min(end, at - (at % MARKED_BYTES) + (index - begin) * MARKED_BYTES);
        add(at, next, low, high);
        at = next;
      }
    });
    return hasRoom;
  }

  #ownerOf(address: number): number {
    return address < this.file.shadow.sizeBytes ? this.file.ownerOf(Math.floor(address / PAGE_BYTES)) : 0;
  }

  /** What a mark says. */
  #who(low: number, high: number, address: number): Writer | undefined {
    const place = placeOf(low);
    if (place === 0) return undefined;
    if (place >= MAX_PLACES) {
      const source = this.#sources[place - MAX_PLACES]!;
      const isKnown = (this.#last - high) >>> 0 < REMEMBERED;
      return isKnown ? { ...source, access: this.#writes[high % REMEMBERED]! } : source;
    }
    const pc = this.file.addressOf(place) ?? 0n;
    const isKernel = (high & 1) === 1;
    const caller = this.file.callerOf(place);
    return {
      by: 'code',
      pc,
      ...(caller !== undefined && { caller }),
      isKernel,
      pid: isKernel ? 0 : this.#ownerOf(address),
    };
  }
}
