/**
 * A card's platform table in its register space. The library places it after the pending bits in the MSI-X BAR, on a
 * separate page, or, on a card without MSI-X, in the first free BAR.
 */
import { type BarTarget } from '../bars';
import { CardDefinitionError } from '../identity';
import { type CardIdentity } from '../identity';
import { type BarFacts, checkDevices, resolveWindows } from './check';
import { type PlatformDevice } from './declaration';
import { encodeTable, tableBytes } from './encode';
import { PAGE_BYTES } from './layout';

export interface TablePlace {
  readonly bar: number;
  /** In the BAR; a multiple of a page. */
  readonly offset: number;
}

export class PlatformTable {
  readonly #devices: readonly PlatformDevice[];
  #place: TablePlace | undefined;
  #bytes: Uint8Array | undefined;

  readonly #finalize: () => void;

  /**
   * Returns undefined for a card that describes no platform devices. `finalize` is called when the table or its place is
   * needed; all BARs exist then, and it must place and complete the table.
   * Throws CardDefinitionError.
   */
  static of(identity: CardIdentity, finalize: () => void): PlatformTable | undefined {
    checkDevices(identity);
    const { platformDevices = [], coherent = true } = identity;
    const devices = platformDevices.map((device) => ({ coherent, ...device }));
    return devices.length === 0 ? undefined : new PlatformTable(devices, finalize);
  }

  private constructor(devices: readonly PlatformDevice[], finalize: () => void) {
    this.#devices = devices;
    this.#finalize = finalize;
  }

  /** Whether the table has been placed in a BAR. */
  get hasPlace(): boolean {
    return this.#place !== undefined;
  }

  get place(): TablePlace {
    this.#finalize();
    return this.#place!;
  }

  get sizeBytes(): number {
    return tableBytes(this.#devices.length);
  }

  /** Places the table in a BAR, after `frontBytes` of other contents; returns the size of the BAR for both. */
  putInto(bar: number, frontBytes = 0): { barBytes: number; target: (front?: BarTarget) => BarTarget } {
    const offset = Math.ceil(frontBytes / PAGE_BYTES) * PAGE_BYTES;
    this.#place = { bar, offset };
    const barBytes = Math.max(PAGE_BYTES, 2 ** Math.ceil(Math.log2(offset + this.sizeBytes)));
    return { barBytes, target: (front) => new TableTarget(() => this.#read(), offset, front) };
  }

  /** Encodes the table, now that all BARs are known. Throws CardDefinitionError when a window is in none of them. */
  complete(barAt: (index: number) => BarFacts | undefined): void {
    this.#bytes = encodeTable(this.#devices, resolveWindows(this.#devices, barAt, this.#place!.bar));
  }

  #read(): Uint8Array {
    this.#finalize();
    return this.#bytes!;
  }

  /** The error for a card without a free BAR for the table. */
  static noPlace(): CardDefinitionError {
    return new CardDefinitionError(
      'no BAR is free for the table of the platform devices: all six slots are taken. Give the card MSI-X, whose BAR has ' +
        'room for the table, or make a 64-bit BAR 32-bit',
    );
  }
}

/** Reads return the table from `offset` on, and `front` below it; the table is read-only. */
class TableTarget implements BarTarget {
  constructor(
    private readonly table: () => Uint8Array,
    private readonly offset: number,
    private readonly front: BarTarget | undefined,
  ) {}

  read(barOffset: number, data: Uint8Array): void {
    const inFront = this.#inFront(barOffset, data);
    if (inFront.length > 0) this.front?.read(barOffset, inFront);
    const rest = data.subarray(inFront.length).fill(0);
    const from = Math.max(0, barOffset - this.offset);
    rest.set(this.table().subarray(from, from + rest.length));
  }

  write(barOffset: number, data: Uint8Array): void {
    const inFront = this.#inFront(barOffset, data);
    if (inFront.length > 0) this.front?.write(barOffset, inFront);
  }

  #inFront(barOffset: number, data: Uint8Array): Uint8Array {
    return data.subarray(0, Math.max(0, this.offset - barOffset));
  }
}
