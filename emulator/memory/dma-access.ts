/**
 * The DmaPort of a PCI function: looks addresses up in the address map, applies the bus-master gate, and copies straight
 * between host memory and the caller's bytes. An access may span mappings that touch; a hole in it is an error before
 * anything has been moved, and says where the hole begins.
 */
import { type AddressMap, type MappedRange } from './address-map';
import { type RemoteMemory } from './backing';
import { Completion, PendingCompletion } from './completion';
import { DmaError } from './dma-error';
import { type DmaPort } from './dma-path';
import { bytesOf, checkAlignment, loadWord } from './word';

type Access = 'read' | 'write';

/** An access by message goes in pieces of this size, so that a reset or a closed gate ends it soon. */
const pieceBytes = 1 << 20;

export class DmaAccess implements DmaPort {
  readonly #map: AddressMap;
  readonly #busMasterEnabled: () => boolean;
  /** How often everything under way has been discarded: by a reset. */
  #drops = 0;

  constructor(map: AddressMap, busMasterEnabled: () => boolean) {
    this.#map = map;
    this.#busMasterEnabled = busMasterEnabled;
  }

  // A range may end at 2^53: the end of an access beyond would be rounded to it, so that differences are compared.
  read(iova: number, into: Uint8Array): Completion {
    const range = this.#enter('read', iova, into.length);
    if (into.length > range.end - iova) return this.#acrossRanges('read', iova, into);
    return this.#move('read', range, iova, into);
  }

  write(iova: number, from: Uint8Array): Completion {
    const range = this.#enter('write', iova, from.length);
    if (from.length > range.end - iova) return this.#acrossRanges('write', iova, from);
    return this.#move('write', range, iova, from);
  }

  write32(iova: number, value: number): Completion {
    checkAlignment(iova, value);
    const range = this.#enter('write', iova, 4);
    const { words32 } = range;
    if (words32 === undefined || iova + 4 > range.end) return this.write(iova, bytesOf(value));
    // A sequentially consistent store: the host CPU may not move earlier data stores behind it.
    Atomics.store(words32, (iova - range.start) / 4, value);
    return Completion.DONE;
  }

  write64(iova: number, value: bigint): Completion {
    checkAlignment(iova, value);
    const range = this.#enter('write', iova, 8);
    const { words64 } = range;
    if (words64 === undefined || iova + 8 > range.end) return this.write(iova, bytesOf(value));
    Atomics.store(words64, (iova - range.start) / 8, value);
    return Completion.DONE;
  }

  /** Throws what an access of this range would throw before anything has been moved. */
  check(access: Access, iova: number, sizeBytes: number): void {
    let { end } = this.#enter(access, iova, sizeBytes);
    while (end - iova < sizeBytes) {
      const range = this.#map.find(end);
      if (range === undefined) throw new DmaError('unmapped', access, iova, sizeBytes, undefined, end);
      checkRange(range, access, iova, sizeBytes, end);
      ({ end } = range);
    }
  }

  /**
   * Discards what is under way by message, as a reset of the function does: the access fails with reason `reset` when the
   * client has answered, what the client answers is discarded, and pieces that have not been sent never are.
   */
  drop(): void {
    this.#drops++;
  }

  /** The range that holds the first byte, after every check that the whole access can be refused for. */
  #enter(access: Access, iova: number, sizeBytes: number): MappedRange {
    if (!this.#busMasterEnabled()) throw new DmaError('bus-master-off', access, iova, sizeBytes);
    const range = this.#map.find(iova);
    if (range === undefined) throw new DmaError('unmapped', access, iova, sizeBytes);
    checkRange(range, access, iova, sizeBytes);
    return range;
  }

  #acrossRanges(access: Access, iova: number, bytes: Uint8Array): Completion {
    const parts: { range: MappedRange; at: number; bytes: Uint8Array }[] = [];
    for (let done = 0; done < bytes.length;) {
      const at = iova + done;
      const range = this.#map.find(at);
      if (range === undefined) throw new DmaError('unmapped', access, iova, bytes.length, undefined, at);
      checkRange(range, access, iova, bytes.length, at);
      const length = Math.min(range.end - at, bytes.length - done);
      parts.push({ range, at, bytes: bytes.subarray(done, done + length) });
      done += length;
    }
    let done = 0;
    for (const part of parts) {
      const completion = this.#move(access, part.range, part.at, part.bytes);
      done += part.bytes.length;
      if (completion.isDone) continue;
      // Once a part has to wait, what is behind it waits too, so that bytes of one access land in address order. It is
      // looked up again then, for the map may have changed.
      if (done === bytes.length) return completion;
      return completion.andThen(() => this[access](iova + done, bytes.subarray(done)));
    }
    return Completion.DONE;
  }

  #move(access: Access, range: MappedRange, iova: number, data: Uint8Array): Completion {
    const { bytes, start } = range;
    if (bytes === undefined) {
      const { backing } = range.mapping;
      if (backing.kind !== 'remote') return Completion.DONE;
      return PendingCompletion.of(this.#byMessage(access, backing.memory, iova, data));
    }
    const offset = iova - start;
    if (access === 'write') bytes.set(data, offset);
    else if (!loadWord(range, offset, data)) data.set(bytes.subarray(offset, offset + data.length));
    return Completion.DONE;
  }

  async #byMessage(access: Access, memory: RemoteMemory, iova: number, data: Uint8Array): Promise<void> {
    const drops = this.#drops;
    for (let done = 0; done < data.length; done += pieceBytes) {
      if (!this.#busMasterEnabled()) throw new DmaError('bus-master-off', access, iova + done, data.length - done);
      const piece = data.subarray(done, done + pieceBytes);
      // What is read may come after a reset, and must not reach the card then.
      const answer = access === 'read' ? new Uint8Array(piece.length) : undefined;
      await (answer ? memory.read(BigInt(iova + done), answer) : memory.write(BigInt(iova + done), piece));
      if (drops !== this.#drops) throw new DmaError('reset', access, iova, data.length);
      if (answer) piece.set(answer);
    }
  }
}

/** That it permits the access, and that its memory is there. */
function checkRange(range: MappedRange, access: Access, iova: number, sizeBytes: number, at = iova): void {
  const { readable, writable } = range;
  if (access === 'read' && !readable) throw new DmaError('not-readable', access, iova, sizeBytes, undefined, at);
  if (access === 'write' && !writable) throw new DmaError('not-writable', access, iova, sizeBytes, undefined, at);
  try {
    void range.bytes;
  } catch (error) {
    const why = `to memory of the client that cannot be mapped: ${(error as Error).message}`;
    throw new DmaError('client-error', access, iova, sizeBytes, why, at);
  }
}
