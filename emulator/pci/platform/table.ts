/**
 * A card's platform table in its register space: where the card's author says; else after the pending bits in a BAR that
 * MSI-X has to itself, on a separate page; else in the first free BAR.
 */
import { type BarTarget } from '../bars';
import { type BarWindow } from '../bar-windows';
import { type BarPlace } from '../capabilities/msix';
import { CardDefinitionError } from '../identity';
import { type CardIdentity } from '../identity';
import { type BarFacts, checkDevices, resolveWindows } from './check';
import { type PlatformDevice } from './declaration';
import { encodeTable, tableBytes } from './encode';

export class PlatformTable {
  readonly #devices: readonly PlatformDevice[];
  #place: BarPlace | undefined;
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
    return devices.length === 0 ? undefined : new PlatformTable(devices, identity.platformTable, finalize);
  }

  private constructor(devices: readonly PlatformDevice[], place: BarPlace | undefined, finalize: () => void) {
    this.#devices = devices;
    this.declaredPlace = place;
    this.#finalize = finalize;
  }

  /** Whether the table has been placed in a BAR. */
  get hasPlace(): boolean {
    return this.#place !== undefined;
  }

  get place(): BarPlace {
    this.#finalize();
    return this.#place!;
  }

  get sizeBytes(): number {
    return tableBytes(this.#devices.length);
  }

  /** The place that the card's author has chosen. */
  readonly declaredPlace: BarPlace | undefined;

  /** Places the table in a BAR. */
  putInto(place: BarPlace): BarWindow {
    this.#place = place;
    const target = new TableTarget(() => this.#read());
    return { ...place, sizeBytes: this.sizeBytes, label: 'the table of platform devices', target };
  }

  /**
   * Encodes the table, now that all BARs are known. Throws CardDefinitionError when a window is in none of them, or where
   * the library has put something (`reserved`).
   */
  complete(barAt: (index: number) => BarFacts | undefined, reserved: readonly BarWindow[]): void {
    this.#bytes = encodeTable(this.#devices, resolveWindows(this.#devices, barAt, reserved));
  }

  #read(): Uint8Array {
    this.#finalize();
    return this.#bytes!;
  }

  /** The error for a card without a free BAR for the table. */
  static noPlace(): CardDefinitionError {
    return new CardDefinitionError(
      'no BAR is free for the table of the platform devices: all six slots are taken. Give the card MSI-X, whose BAR has ' +
        'room for the table, make a 64-bit BAR 32-bit, or let platformTable say where in a BAR there is room',
    );
  }
}

/** The table is read-only. */
class TableTarget implements BarTarget {
  constructor(private readonly table: () => Uint8Array) {}

  read(offset: number, data: Uint8Array): void {
    data.set(this.table().subarray(offset, offset + data.length));
  }

  write(): void {}
}
