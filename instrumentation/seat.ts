/**
 * A place at a socket, which cards take one after another. QEMU keeps the device of a card that the guest has removed, and
 * its connection: the next card must take over both. It can if it has the same shape: what QEMU has read when it
 * connected, and holds on to.
 *
 * Source: QEMU hw/vfio/pci.c, vfio_pci_config_setup and vfio_pci_add_capabilities (what QEMU answers by itself).
 */
import { crc32 } from 'node:zlib';
import { type Device, ReplaceableDevice } from '../emulator/device';
import { type Native } from '../emulator/native';
import { type CardMemory, type MemoryAllocator, type PciCard } from '../emulator/pci';
import { serve, type ServerEvent, type VfioUserServer } from '../emulator/vfio-user';

/** A card that is served. */
export interface Occupant {
  readonly card: PciCard;
  /** The card as the client is to drive it. */
  readonly device: Device;
  readonly clock: { runDue(): boolean };
  readonly onEvent: (event: ServerEvent) => void;
}

export class Seat {
  readonly #device: ReplaceableDevice;
  /** The files of regions that the client may have mapped, by region. */
  readonly #files: readonly (number | undefined)[];
  readonly #shape: string;
  server!: VfioUserServer;

  private constructor(private occupant: Occupant) {
    this.#device = new ReplaceableDevice(occupant.device);
    this.#files = filesOf(occupant.device);
    this.#shape = shapeOf(occupant.card);
  }

  static async start(occupant: Occupant, socketPath: string, native: Native): Promise<Seat> {
    const seat = new Seat(occupant);
    seat.server = await serve(seat.#device, {
      socketPath,
      native,
      clock: { runDue: () => seat.occupant.clock.runDue() },
      onEvent: (event) => seat.occupant.onEvent(event),
    });
    return seat;
  }

  /** Whether the client would not notice that this card, not driven yet, takes the place of the present one. */
  fits({ card, device }: Occupant): boolean {
    const files = filesOf(device);
    const hasFiles = this.#files.every((file, region) => file === undefined || file === files[region]);
    return hasFiles && this.#shape === shapeOf(card);
  }

  /** Puts a card that fits in the place of the present one. */
  replaceBy(next: Occupant): void {
    this.server.catchUp();
    putToSleep(next);
    this.#device.replaceBy(next.device);
    this.occupant = next;
  }
}

const CAPABILITIES = 0x34;
const POWER_MANAGEMENT = 1;
/** Offset of Control/Status in the capability, and its state D3hot. */
const PMCSR = 4;
const D3HOT = Uint8Array.of(3, 0);

/**
 * QEMU unmaps the BARs of a function in D3hot, and goes by the state that was last written (hw/pci/pci.c, pci_pm_update):
 * vfio-pci leaves a card there that is removed by surprise. The next one begins in that state too, so that the guest
 * writes D0 when it finds it, and QEMU maps the BARs again.
 */
function putToSleep({ card, device }: Occupant): void {
  const byteAt = (offset: number): number => {
    const byte = new Uint8Array(1);
    card.readRegion(CONFIG_REGION, offset, byte);
    return byte[0]!;
  };
  for (let at = byteAt(CAPABILITIES), left = COMPATIBLE_BYTES; at !== 0 && left > 0; at = byteAt(at + 1), left--) {
    if (byteAt(at) === POWER_MANAGEMENT) return device.writeRegion(CONFIG_REGION, at + PMCSR, D3HOT);
  }
}

const filesOf = ({ layout }: Device): (number | undefined)[] => layout.regions.map(({ mappable }) => mappable?.fd);

const ROM_REGION = 6;
const CONFIG_REGION = 7;
/** What of configuration space QEMU asks for each time: vendor, device, revision, class, subsystem. */
const LIVE: readonly (readonly [start: number, end: number])[] = [
  [0x00, 0x04],
  [0x08, 0x0c],
  [0x2c, 0x30],
];
const COMPATIBLE_BYTES = 256;

/** Sizes of regions, interrupts, header and capabilities, contents of the ROM. To be called before the card is driven. */
function shapeOf(card: PciCard): string {
  const { regions, irqs } = card.layout;
  const config = new Uint8Array(regions[CONFIG_REGION]!.sizeBytes);
  card.readRegion(CONFIG_REGION, 0, config);
  const rom = new Uint8Array(regions[ROM_REGION]!.sizeBytes);
  card.readRegion(ROM_REGION, 0, rom);
  for (const [start, end] of LIVE) config.fill(0, start, end);
  return JSON.stringify([
    regions.map(({ sizeBytes }) => sizeBytes),
    irqs,
    [...config.subarray(0, COMPATIBLE_BYTES)],
    extendedHeaders(new DataView(config.buffer)),
    crc32(rom),
  ]);
}

/** Offset and header of each extended capability (PCI Express Base Spec 5.0, 7.6.3). */
function extendedHeaders(config: DataView): number[] {
  const found: number[] = [];
  for (let at = COMPATIBLE_BYTES; at >= COMPATIBLE_BYTES && !found.includes(at) && at < config.byteLength;) {
    const header = config.getUint32(at, true);
    found.push(at, header);
    at = header >>> 20;
  }
  return found;
}

/**
 * The memory of a served card that its client can map. It outlives the card: whoever takes the card's place gets the same
 * memory, cleared, because the client keeps its mapping.
 */
export class SeatMemory {
  readonly #kept = new Map<string, CardMemory>();

  constructor(
    private readonly allocateNew: MemoryAllocator,
    private readonly inherited?: SeatMemory,
  ) {}

  readonly allocate: MemoryAllocator = (sizeBytes, name) => {
    const memory = this.inherited?.take(name, sizeBytes) ?? this.allocateNew(sizeBytes, name);
    this.#kept.set(name, memory);
    return { ...memory, close: () => {} };
  };

  close(): void {
    for (const memory of this.#kept.values()) memory.close();
    this.#kept.clear();
  }

  private take(name: string, sizeBytes: number): CardMemory | undefined {
    const memory = this.#kept.get(name);
    if (memory === undefined || (memory.pieces?.sizeBytes ?? memory.bytes.length) !== sizeBytes) return undefined;
    this.#kept.delete(name);
    if (memory.clear) memory.clear();
    else memory.bytes.fill(0);
    return memory;
  }
}
