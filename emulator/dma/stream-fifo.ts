/**
 * A byte stream with packet boundaries between a sink and a source, of bounded depth. When it is full the writer waits,
 * when it is empty the reader: AXI4-Stream with TLAST, as on an FPGA.
 */
import { type DataSink, type DataSource } from './endpoint';

export class StreamFifo implements DataSink, DataSource {
  /** Made when the first byte comes: most cards of a test run never stream. */
  #made: Uint8Array | undefined;
  /** Running totals of bytes written and read; their difference is the fill level. */
  #written = 0;
  #read = 0;
  /** Totals at which packets end, oldest first. */
  #packetEnds: number[] = [];
  #waiting: (() => void)[] = [];

  constructor(private readonly depthBytes: number) {}

  get #memory(): Uint8Array {
    return (this.#made ??= new Uint8Array(this.depthBytes));
  }

  get fillBytes(): number {
    return this.#written - this.#read;
  }

  reserve(_cardAddress: number, maxBytes: number): Uint8Array | undefined {
    const depth = this.depthBytes;
    const start = this.#written % depth;
    const length = Math.min(maxBytes, depth - this.fillBytes, depth - start);
    return length <= 0 ? undefined : this.#memory.subarray(start, start + length);
  }

  commit(bytes: number, endOfPacket: boolean): void {
    this.#written += bytes;
    if (endOfPacket) this.#packetEnds.push(this.#written);
    this.#wake();
  }

  peek(_cardAddress: number, maxBytes: number): Uint8Array | undefined {
    const depth = this.depthBytes;
    const start = this.#read % depth;
    const untilPacketEnd = (this.#packetEnds[0] ?? Infinity) - this.#read;
    const length = Math.min(maxBytes, this.fillBytes, depth - start, untilPacketEnd);
    return length === 0 ? undefined : this.#memory.subarray(start, start + length);
  }

  consume(bytes: number): boolean {
    this.#read += bytes;
    const endOfPacket = this.#packetEnds[0] === this.#read;
    if (endOfPacket) this.#packetEnds.shift();
    this.#wake();
    return endOfPacket;
  }

  /** Calls back once at the next change of the fill level. */
  whenReady(callback: () => void): void {
    this.#waiting.push(callback);
  }

  /** Drops everything in it. */
  clear(): void {
    this.#read = this.#written;
    this.#packetEnds = [];
    this.#wake();
  }

  #wake(): void {
    if (this.#waiting.length === 0) return;
    const callbacks = this.#waiting;
    this.#waiting = [];
    for (const callback of callbacks) callback();
  }
}
