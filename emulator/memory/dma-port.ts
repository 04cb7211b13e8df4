/**
 * A card's way to host memory: what engines are written against.
 *
 * Addresses are numbers: exact below 2^53, which is beyond any address that today's guests or IOMMUs hand out, and an
 * engine touches one for every descriptor. The seam and the map speak bigint; this is the one interface that does not.
 *
 * An access is done when `undefined` is returned; a promise means that the memory can only be reached by message (see
 * RemoteMemory) and the access is done when it resolves. Engines therefore write
 * `const pending = port.read(...); if (pending) await pending;` and stay synchronous where memory is mapped.
 * Every failure is a DmaError, thrown or as rejection.
 */
export interface DmaPort {
  /** Fills `into` from host memory at `iova`. */
  read(iova: number, into: Uint8Array): Promise<void> | undefined;
  /** Writes `from` to host memory at `iova`. `from` must not change before the access is done. */
  write(iova: number, from: Uint8Array): Promise<void> | undefined;
  /**
   * Writes one little-endian 32-bit word. `iova` is a multiple of 4. A reader that sees the new word also sees
   * everything that was written before it: this is what owner bits and write-back indexes are written with.
   */
  write32(iova: number, value: number): Promise<void> | undefined;
}
