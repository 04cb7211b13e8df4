/**
 * A card's platform table in its register space. The library finds a place for it: behind the pending bits in the BAR of
 * MSI-X, on a page of its own, or, on a card without MSI-X, in the first BAR that is free.
 */
import { type BarTarget } from '../bars';
import { CardDefinitionError } from '../card-definition-error';
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

  readonly #settle: () => void;

  /**
   * Undefined for a card that describes no platform devices. `settle` is called when somebody looks at the table; all
   * BARs are there then, and it is to see to it that there is a place and that the table is complete.
   * Throws CardDefinitionError.
   */
  static of(identity: CardIdentity, settle: () => void): PlatformTable | undefined {
    checkDevices(identity);
    const { platformDevices = [], coherent = true } = identity;
    const devices = platformDevices.map((device) => ({ coherent, ...device }));
    return devices.length === 0 ? undefined : new PlatformTable(devices, settle);
  }

  private constructor(devices: readonly PlatformDevice[], settle: () => void) {
    this.#devices = devices;
    this.#settle = settle;
  }

  /** Whether it has been put into a BAR. */
  get hasPlace(): boolean {
    return this.#place !== undefined;
  }

  get place(): TablePlace {
    this.#settle();
    return this.#place!;
  }

  get sizeBytes(): number {
    return tableBytes(this.#devices.length);
  }

  /** Puts the table into a BAR, behind `frontBytes` of something else; gives back the size of the BAR for both. */
  putInto(bar: number, frontBytes = 0): { barBytes: number; target: (front?: BarTarget) => BarTarget } {
    const offset = Math.ceil(frontBytes / PAGE_BYTES) * PAGE_BYTES;
    this.#place = { bar, offset };
    const barBytes = Math.max(PAGE_BYTES, 2 ** Math.ceil(Math.log2(offset + this.sizeBytes)));
    return { barBytes, target: (front) => new TableTarget(() => this.#read(), offset, front) };
  }

  /** Writes the table, now that all BARs are known. Throws CardDefinitionError when a window is in none of them. */
  complete(barAt: (index: number) => BarFacts | undefined): void {
    this.#bytes = encodeTable(this.#devices, resolveWindows(this.#devices, barAt, this.#place!.bar));
  }

  #read(): Uint8Array {
    this.#settle();
    return this.#bytes!;
  }

  /** The error for a card that has no place for the table. */
  static noPlace(): CardDefinitionError {
    return new CardDefinitionError(
      'there is no BAR left for the table of the platform devices: all six slots are taken. Give the card MSI-X, whose ' +
        'BAR has room for the table, or make a 64-bit BAR a 32-bit one',
    );
  }
}

/** Reads give the table from `offset` on, and what is in front of it below; the table cannot be written. */
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
