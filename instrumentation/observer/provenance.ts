/** Whose bytes guest RAM holds: the code, or the card, that wrote them last. */
import { type SharedFile } from './shared-file';
import { MARK, MARKED_BYTES, MAX_PLACES, PAGE_BYTES } from './layout';

/** Who wrote last. */
export type Writer =
  | {
      readonly by: 'code';
      readonly pc: bigint;
      readonly isKernel: boolean;
      readonly vcpu: number;
      /** The process that was the last to write to this page from user space; 0 when it is not known. */
      readonly pid: number;
    }
  | { readonly by: 'dma'; readonly card: string; readonly channel: string };

/** Bytes that have the same writer; of eight bytes, the last counts. */
export interface WrittenRun {
  readonly address: number;
  readonly sizeBytes: number;
  /** Undefined: nobody, since the guest was started. */
  readonly writer: Writer | undefined;
}

export class Provenance {
  /** Channels of cards that have written, by the number of their place. */
  readonly #channels: { readonly card: string; readonly channel: string }[] = [];

  constructor(private readonly file: SharedFile) {}

  /** A card has written to memory. */
  dmaWrote(card: string, channel: string, address: number, sizeBytes: number): void {
    let number = this.#channels.findIndex((known) => known.card === card && known.channel === channel);
    if (number < 0) number = this.#channels.push({ card, channel }) - 1;
    this.file.shadow.set(address, sizeBytes, MAX_PLACES + number, 0, MARK.bytesAt);
  }

  /** Who wrote the bytes of a range of physical addresses, in their order. */
  of(address: number, sizeBytes: number): WrittenRun[] {
    const runs: { address: number; sizeBytes: number; writer: Writer | undefined; key: string }[] = [];
    const end = address + sizeBytes;
    for (let at = address; at < end;) {
      const next = Math.min(end, at - (at % MARKED_BYTES) + MARKED_BYTES);
      const writer = this.#writerAt(at);
      const key = writer === undefined ? '' : Object.values(writer).join(' ');
      const last = runs.at(-1);
      if (last?.key === key) last.sizeBytes += next - at;
      else runs.push({ address: at, sizeBytes: next - at, writer, key });
      at = next;
    }
    return runs.map(({ key: _, ...run }) => run);
  }

  #writerAt(address: number): Writer | undefined {
    const mark = address < this.file.shadow.sizeBytes ? this.file.shadow.at(address) : undefined;
    if (mark === undefined) return undefined;
    const { place, vcpu, isKernel } = mark;
    if (place >= MAX_PLACES) return { by: 'dma', ...this.#channels[place - MAX_PLACES]! };
    const pc = this.file.addressOf(place) ?? 0n;
    const pid = isKernel ? 0 : this.file.ownerOf(Math.floor(address / PAGE_BYTES));
    return { by: 'code', pc, isKernel, vcpu, pid };
  }
}
