/**
 * The memory files of a client, each mapped only once, however many windows of it are in use: a guest behind an IOMMU
 * maps its memory page by page, and the kernel allows a process 65530 mappings in total (vm.max_map_count).
 *
 * A file is mapped in pieces, because an ArrayBuffer has at most 4 GiB (Node 20). Mapping one costs milliseconds: V8 takes
 * it for memory that it has to collect garbage for. So a piece is mapped when it is first needed, and some stay mapped
 * without windows: a driver behind an IOMMU may map one page for each transfer.
 */
import { type Native } from '../native';

interface Piece {
  readonly key: string;
  readonly bytes: Uint8Array;
  windows: number;
}

/** One of the client's files, for creating windows. */
export interface MappableFile {
  readonly fd: number;
  readonly identity: string;
  readonly sizeBytes: number;
  readonly writable: boolean;
}

/**
 * How many pieces may be mapped without windows. They take address space, and pages only of files that the client itself
 * has deleted. A guest of 16 GiB has 8 pieces, each read-only and writable.
 */
const MOST_IDLE = 16;

/** Memory of a file, as what is behind a mapping for DMA: mapped by the first use of `bytes`, or never. */
export class FileWindow {
  readonly kind = 'bytes';
  #bytes: Uint8Array | undefined;

  constructor(
    private readonly files: MappedFiles,
    private readonly file: MappableFile,
    readonly fileOffset: number,
    readonly sizeBytes: number,
    /** Called once, when the descriptor of the file is not needed any more. */
    private readonly letGo: () => void,
  ) {}

  /** @throws NativeError */
  get bytes(): Uint8Array {
    if (this.#bytes === undefined) {
      this.#bytes = this.files.window(this.file, this.fileOffset, this.sizeBytes);
      this.letGo();
    }
    return this.#bytes;
  }

  /** To be called once. */
  release(): void {
    if (this.#bytes) this.files.release(this.#bytes);
    else this.letGo();
  }
}

export class MappedFiles {
  /** The pieces used for new windows. */
  readonly #pieces = new Map<string, Piece>();
  /** Every mapped piece, by the buffer that its windows are views of. */
  readonly #mapped = new Map<ArrayBufferLike, Piece>();
  /** The pieces without windows, the one that was used last at the end. */
  readonly #idle = new Set<Piece>();
  readonly #status = new BigInt64Array(3);

  constructor(
    private readonly native: Native,
    private readonly pieceBytes: number,
  ) {}

  /**
   * Without `writable`, stores do not reach the file. `fd` is only needed until the windows of this range are created.
   */
  look(fd: number, writable: boolean): MappableFile {
    this.native.fileStatus(fd, this.#status);
    const [device, inode, sizeBytes] = this.#status;
    return { fd, writable, identity: `${device}:${inode}`, sizeBytes: Number(sizeBytes) };
  }

  /** How many of the `sizeBytes` bytes from `offset` on lie in one piece. */
  inOnePiece(offset: number, sizeBytes: number): number {
    return Math.min(sizeBytes, this.pieceBytes - (offset % this.pieceBytes));
  }

  /** A window of bytes that lie in one piece. Release it exactly once. */
  window(file: MappableFile, offset: number, sizeBytes: number): Uint8Array {
    const start = offset - (offset % this.pieceBytes);
    const key = `${file.identity} ${start} ${file.writable}`;
    let piece = this.#pieces.get(key);
    // A piece that the file has outgrown stays as long as it has windows.
    if (piece === undefined || offset - start + sizeBytes > piece.bytes.length) {
      if (piece !== undefined && this.#idle.has(piece)) this.#unmap(piece);
      const length = Math.min(this.pieceBytes, Math.max(file.sizeBytes - start, offset - start + sizeBytes));
      const buffer = this.native.map(file.fd, start, length, file.writable);
      piece = { key, bytes: new Uint8Array(buffer), windows: 0 };
      this.#pieces.set(key, piece);
      this.#mapped.set(piece.bytes.buffer, piece);
    }
    piece.windows++;
    this.#idle.delete(piece);
    return piece.bytes.subarray(offset - start, offset - start + sizeBytes);
  }

  release(window: Uint8Array): void {
    const piece = this.#mapped.get(window.buffer);
    if (piece === undefined || --piece.windows > 0) return;
    if (this.#pieces.get(piece.key) !== piece) return this.#unmap(piece); // it has been replaced
    this.#idle.add(piece);
    const [longestIdle] = this.#idle;
    if (this.#idle.size > MOST_IDLE) this.#unmap(longestIdle!);
  }

  /** Unmaps the pieces that have no windows. */
  releaseIdle(): void {
    for (const piece of this.#idle) this.#unmap(piece);
  }

  #unmap(piece: Piece): void {
    this.#idle.delete(piece);
    this.#mapped.delete(piece.bytes.buffer);
    if (this.#pieces.get(piece.key) === piece) this.#pieces.delete(piece.key);
    this.native.unmap(piece.bytes.buffer as ArrayBuffer);
  }
}
