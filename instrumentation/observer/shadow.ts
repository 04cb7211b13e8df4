/** The shadow of guest RAM: who wrote each eight bytes last, as the plugin marks them. Mapped piece by piece, when it is looked at. */
import { type Native } from '../../emulator/native';
import { MARK, MARKED_BYTES } from './layout';

const PIECE_BYTES = 2 ** 28;

/** What a mark says. */
export interface Mark {
  /** The number of a place of code. */
  readonly place: number;
  readonly vcpu: number;
  /** The lower bits of the epoch. */
  readonly epoch: number;
}

export class Shadow implements Disposable {
  readonly #pieces = new Map<number, { buffer: ArrayBuffer; marks: BigUint64Array }>();

  /** Use `SharedFile.shadow`. */
  constructor(
    private readonly native: Native,
    private readonly fd: number,
    private readonly fileOffset: number,
    /** Physical addresses from 0 up to here have a shadow. */
    readonly sizeBytes: number,
  ) {}

  /** The mark of the eight bytes that an address lies in; undefined when nobody has written them. */
  at(address: number): Mark | undefined {
    const mark = this.#marksOf(address)[indexOf(address)]!;
    if (mark === 0n) return undefined;
    return {
      place: Number(BigInt.asUintN(Number(MARK.placeBits), mark)),
      vcpu: Number(BigInt.asUintN(Number(MARK.vcpuBits), mark >> MARK.placeBits)),
      epoch: Number(mark >> (MARK.placeBits + MARK.vcpuBits)),
    };
  }

  /** Marks all that a range touches, at most to the end of RAM. */
  mark(address: number, sizeBytes: number, { place, vcpu, epoch }: Mark): void {
    const mark =
      (BigInt.asUintN(Number(MARK.epochBits), BigInt(epoch)) << (MARK.placeBits + MARK.vcpuBits)) |
      (BigInt(vcpu) << MARK.placeBits) |
      BigInt(place);
    const end = Math.min(address + sizeBytes, this.sizeBytes);
    for (let at = address; at < end;) {
      const next = Math.min(end, (Math.floor(at / PIECE_BYTES) + 1) * PIECE_BYTES);
      this.#marksOf(at).fill(mark, indexOf(at), indexOf(next - 1) + 1);
      at = next;
    }
  }

  [Symbol.dispose](): void {
    for (const { buffer } of this.#pieces.values()) this.native.unmap(buffer);
    this.#pieces.clear();
  }

  #marksOf(address: number): BigUint64Array {
    const number = Math.floor(address / PIECE_BYTES);
    let piece = this.#pieces.get(number);
    if (piece === undefined) {
      const start = number * PIECE_BYTES;
      const size = Math.min(PIECE_BYTES, this.sizeBytes - start);
      const buffer = this.native.map(this.fd, this.fileOffset + start, size, true);
      this.#pieces.set(number, (piece = { buffer, marks: new BigUint64Array(buffer) }));
    }
    return piece.marks;
  }
}

/** In its piece. */
const indexOf = (address: number): number => Math.floor((address % PIECE_BYTES) / MARKED_BYTES);
