/**
 * What sits between the H2C and the C2H channel of a pair, chosen by the pair's PROCESSING register.
 * To add one: a class with a sink and a source here, its number in registers.ts (PROCESSING.SELECT).
 */
import { CardMemoryEndpoint, type DataSink, type DataSource, StreamFifo } from '../../dma';
import { crc32cResult, crc32cStart, crc32cUpdate } from './crc32c';

export interface ProcessingFunction {
  readonly sink: DataSink;
  readonly source: DataSource;
  reset(): void;
}

/** H2C writes card memory, C2H reads it, at the card address of the descriptor. */
export class MemoryFunction implements ProcessingFunction {
  readonly sink: CardMemoryEndpoint;
  readonly source: CardMemoryEndpoint;

  constructor(memory: { readonly bytes: Uint8Array }, sizeBytes: number) {
    this.sink = this.source = new CardMemoryEndpoint(memory, sizeBytes);
  }

  reset(): void {}
}

/** What goes in by H2C comes out by C2H, packet boundaries kept. */
export class LoopbackFunction implements ProcessingFunction {
  readonly #fifo = new StreamFifo(1 << 20);
  readonly sink = this.#fifo;
  readonly source = this.#fifo;

  reset(): void {
    this.#fifo.clear();
  }
}

/** Each packet that goes in by H2C yields a packet of four bytes: its CRC-32C, little-endian. */
export class Crc32cFunction implements ProcessingFunction {
  readonly #digests = new StreamFifo(4096);
  readonly #window = new Uint8Array(1 << 16);
  #crc = crc32cStart;

  readonly source: DataSource = this.#digests;
  readonly sink: DataSink = {
    reserve: (_cardAddress, maxBytes) => {
      const hasRoomForDigest = this.#digests.reserve(0, 4)?.length === 4;
      return hasRoomForDigest ? this.#window.subarray(0, Math.min(maxBytes, this.#window.length)) : undefined;
    },
    commit: (bytes, endOfPacket) => {
      this.#crc = crc32cUpdate(this.#crc, this.#window.subarray(0, bytes));
      if (endOfPacket) this.#emitDigest();
    },
    whenReady: (callback) => this.#digests.whenReady(callback),
  };

  reset(): void {
    this.#crc = crc32cStart;
    this.#digests.clear();
  }

  #emitDigest(): void {
    const window = this.#digests.reserve(0, 4)!;
    new DataView(window.buffer, window.byteOffset).setUint32(0, crc32cResult(this.#crc), true);
    this.#digests.commit(4, true);
    this.#crc = crc32cStart;
  }
}
