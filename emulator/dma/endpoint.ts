/**
 * The card's side of a transfer: where H2C bytes go and C2H bytes come from.
 *
 * Both hand out windows of their own memory, so that bytes are copied directly between it and host memory. A window may
 * be shorter than requested. Undefined means "not now", and `whenReady` calls back when to try again (back-pressure of a
 * stream).
 */
export interface DataSink {
  /** A window to be filled, at most `maxBytes` long, or undefined while there is no room. */
  reserve(cardAddress: number, maxBytes: number): Uint8Array | undefined;
  /** `bytes` of the window have been filled; `endOfPacket` when they end a packet. */
  commit(bytes: number, endOfPacket: boolean): void;
  /** Calls back once, when it is worth trying again. */
  whenReady(callback: () => void): void;
}

/** Where the bytes of a C2H transfer come from. */
export interface DataSource {
  /** A window to be emptied, at most `maxBytes` long, or undefined while there is nothing. */
  peek(cardAddress: number, maxBytes: number): Uint8Array | undefined;
  /** `bytes` of the window have been taken; true when they ended a packet. */
  consume(bytes: number): boolean;
  /** Calls back once, when it is worth trying again. */
  whenReady(callback: () => void): void;
}

/** The transfer leaves card memory. */
export class CardAddressError extends Error {
  constructor(
    readonly cardAddress: number,
    sizeBytes: number,
    memoryBytes: number,
  ) {
    super(
      `${sizeBytes} bytes at card address 0x${cardAddress.toString(16)} leave card memory (0x${memoryBytes.toString(16)} bytes)`,
    );
    this.name = 'CardAddressError';
  }
}

/** Card memory as both ends: always ready, bounds checked. */
export class CardMemoryEndpoint implements DataSink, DataSource {
  /** `memory.bytes` may be made by its first use (a MemoryBar's is); `sizeBytes` is known before. */
  constructor(
    private readonly memory: { readonly bytes: Uint8Array },
    private readonly sizeBytes = memory.bytes.length,
  ) {}

  reserve(cardAddress: number, maxBytes: number): Uint8Array {
    if (cardAddress + maxBytes > this.sizeBytes) throw new CardAddressError(cardAddress, maxBytes, this.sizeBytes);
    return this.memory.bytes.subarray(cardAddress, cardAddress + maxBytes);
  }

  commit(): void {}

  peek(cardAddress: number, maxBytes: number): Uint8Array {
    return this.reserve(cardAddress, maxBytes);
  }

  consume(): boolean {
    return false;
  }

  /** Memory is ready at once. */
  whenReady(callback: () => void): void {
    callback();
  }
}
