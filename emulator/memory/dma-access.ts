/**
 * The DmaPort of a PCI function: looks addresses up in the address map, applies the bus-master gate, and copies straight
 * between host memory and the caller's bytes. An access may span mappings that touch; a hole in it is an error before
 * anything has been moved.
 */
import { type AddressMap, type MappedRange } from './address-map';
import { DmaError } from './dma-error';
import { type DmaPort } from './dma-port';

export class DmaAccess implements DmaPort {
  readonly #map: AddressMap;
  readonly #busMasterEnabled: () => boolean;

  constructor(map: AddressMap, busMasterEnabled: () => boolean) {
    this.#map = map;
    this.#busMasterEnabled = busMasterEnabled;
  }

  read(iova: number, into: Uint8Array): Promise<void> | undefined {
    const range = this.#enter('read', iova, into.length);
    if (iova + into.length > range.end) return this.#acrossRanges('read', iova, into);
    return readRange(range, iova, into);
  }

  write(iova: number, from: Uint8Array): Promise<void> | undefined {
    const range = this.#enter('write', iova, from.length);
    if (iova + from.length > range.end) return this.#acrossRanges('write', iova, from);
    return writeRange(range, iova, from);
  }

  write32(iova: number, value: number): Promise<void> | undefined {
    if (iova % 4 !== 0) throw new RangeError(`write32 at 0x${iova.toString(16)}: the address must be a multiple of 4`);
    const range = this.#enter('write', iova, 4);
    if (range.words !== undefined && iova + 4 <= range.end) {
      // A sequentially consistent store: the host CPU may not move earlier data stores behind it.
      Atomics.store(range.words, (iova - range.start) / 4, value);
      return undefined;
    }
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, value, true);
    return this.write(iova, bytes);
  }

  /** The range that holds the first byte, after every check that the whole access can be refused for. */
  #enter(access: 'read' | 'write', iova: number, sizeBytes: number): MappedRange {
    if (!this.#busMasterEnabled()) throw new DmaError('bus-master-off', access, iova, sizeBytes);
    const range = this.#map.find(iova);
    if (range === undefined) throw new DmaError('unmapped', access, iova, sizeBytes);
    checkPermission(range, access, iova, sizeBytes);
    return range;
  }

  #acrossRanges(access: 'read' | 'write', iova: number, bytes: Uint8Array): Promise<void> | undefined {
    const parts: { range: MappedRange; at: number; bytes: Uint8Array }[] = [];
    for (let done = 0; done < bytes.length;) {
      const at = iova + done;
      const range = this.#map.find(at);
      if (range === undefined) throw new DmaError('unmapped', access, iova, bytes.length);
      checkPermission(range, access, iova, bytes.length);
      const length = Math.min(range.end - at, bytes.length - done);
      parts.push({ range, at, bytes: bytes.subarray(done, done + length) });
      done += length;
    }
    const move = access === 'read' ? readRange : writeRange;
    let pending: Promise<void> | undefined;
    for (const part of parts) {
      // Once one part has to wait, those behind it wait for it: bytes of one access land in address order.
      if (pending === undefined) pending = move(part.range, part.at, part.bytes);
      else pending = pending.then(() => move(part.range, part.at, part.bytes));
    }
    return pending;
  }
}

function checkPermission(range: MappedRange, access: 'read' | 'write', iova: number, sizeBytes: number): void {
  if (access === 'read' && !range.mapping.readable) throw new DmaError('not-readable', access, iova, sizeBytes);
  if (access === 'write' && !range.mapping.writable) throw new DmaError('not-writable', access, iova, sizeBytes);
}

function readRange(range: MappedRange, iova: number, into: Uint8Array): Promise<void> | undefined {
  const { bytes, mapping, start } = range;
  if (bytes !== undefined) {
    const offset = iova - start;
    into.set(bytes.subarray(offset, offset + into.length));
    return undefined;
  }
  return mapping.backing.kind === 'remote' ? mapping.backing.memory.read(BigInt(iova), into) : undefined;
}

function writeRange(range: MappedRange, iova: number, from: Uint8Array): Promise<void> | undefined {
  const { bytes, mapping, start } = range;
  if (bytes !== undefined) {
    bytes.set(from, iova - start);
    return undefined;
  }
  return mapping.backing.kind === 'remote' ? mapping.backing.memory.write(BigInt(iova), from) : undefined;
}
