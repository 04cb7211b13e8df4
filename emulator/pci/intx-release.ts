/**
 * Lets a client release a stale INTx line: one that the card has deasserted and the client still has asserted.
 *
 * QEMU deasserts the line only when the guest next accesses a BAR (hw/vfio/pci.c, vfio_pci_intx_eoi, called by
 * vfio_region_read and vfio_region_write). On the bus, Deassert_INTx ends the interrupt without any access. So whoever can
 * access the guest's bus reads one byte of a BAR in the driver's place, at an address and a time agreed upon here. That
 * read is answered in front of the card: its model and its observers do not see it.
 *
 * Source: PCI Express Base Spec 5.0, 2.2.8.1 (INTx messages) and 6.1.2.
 */
import { ForwardingDevice } from '../device';
import { type PciCard } from './card';
import { type ConfigStructure } from './config-space';
import { type BarContents } from './inspection';
import { type Intx } from './intx';
import { BAR_COUNT, Region } from './vfio-layout';

/** A byte of a BAR, by its address on the guest's bus. */
interface ReleasePlace {
  readonly region: number;
  readonly offset: number;
  readonly busAddress: number;
}

/** Offsets in the header: Command, and the base address registers (PCI Local Bus Spec 3.0, figure 6-1). */
const COMMAND = 0x04;
const BASE_ADDRESSES = 0x10;
const HEADER_END = 0x28;
const MEMORY_SPACE = 1 << 1;
/** Bits of a base address register: I/O ports, and memory with addresses of 64 bits (6.2.5.1). */
const IS_IO = 0b1;
const IS_64_BIT = 0b100;

/** The stage next to the client. */
export class IntxRelease extends ForwardingDevice {
  readonly #line: Intx;
  readonly #registers: ConfigStructure['registers'];
  readonly #msix: () => BarContents['msix'];
  /**
   * The header as the client has last written it: a reset of the function clears the registers, and moves none of the
   * client's BARs.
   */
  readonly #header = new DataView(new ArrayBuffer(HEADER_END));
  #place: ReleasePlace | undefined;
  #isExpected = false;

  constructor(card: PciCard) {
    super(card.inspection.device);
    this.#line = card.inspection.interrupts.intx;
    this.#msix = () => card.inspection.contents().msix;
    this.#registers = card.inspection.configStructures.find(({ name }) => name === '')!.registers;
  }

  /** Called whenever a stale line can be released, perhaps more than once: see `expectRead`. */
  set onStale(listener: () => void) {
    this.#line.onStale = listener;
  }

  /** Whether the line is stale, and can be released. */
  get isNeeded(): boolean {
    return this.#line.isStale && this.#place !== undefined;
  }

  /**
   * The address of one byte, whose next read by the client releases the line and has no other effect. Undefined when the
   * line is not stale, or when no BAR can be read (Memory Space Enable is 0).
   */
  expectRead(): number | undefined {
    this.#isExpected = this.isNeeded;
    return this.#isExpected ? this.#place!.busAddress : undefined;
  }

  /** The read has been made, or will not be. */
  readDone(): void {
    this.#isExpected = false;
  }

  override readRegion(region: number, offset: number, data: Uint8Array): void {
    if (this.#isExpected && this.#isPlace(region, offset, data)) this.readDone();
    else this.below.readRegion(region, offset, data);
  }

  override writeRegion(region: number, offset: number, data: Uint8Array): void {
    this.below.writeRegion(region, offset, data);
    if (region === Region.CONFIG && offset < HEADER_END) this.#written(offset, data.length);
  }

  #isPlace(region: number, offset: number, { length }: Uint8Array): boolean {
    return length === 1 && offset === this.#place!.offset && region === this.#place!.region;
  }

  #written(offset: number, sizeBytes: number): void {
    const end = Math.min(offset + sizeBytes, HEADER_END);
    this.#registers.read(offset, new Uint8Array(this.#header.buffer, offset, end - offset));
    this.#place = this.#find();
    if (this.isNeeded) this.#line.onStale();
  }

  /** A byte of a memory BAR at which QEMU asks the card: outside of the MSI-X table, preferably of no mapped BAR. */
  #find(): ReleasePlace | undefined {
    if ((this.#header.getUint16(COMMAND, true) & MEMORY_SPACE) === 0) return undefined;
    const { regions } = this.layout;
    const isMemory = (bar: number) => (this.#header.getUint32(BASE_ADDRESSES + 4 * bar, true) & IS_IO) === 0;
    const bars = Array.from({ length: BAR_COUNT }, (_, bar) => bar).filter(
      (bar) => regions[bar]!.sizeBytes > 0 && isMemory(bar),
    );
    const region = bars.find((bar) => regions[bar]!.mappable === undefined) ?? bars[0];
    if (region === undefined) return undefined;
    const last = regions[region]!.sizeBytes - 1;
    const atEnd = this.#msix().find(({ bar, offset, map }) => bar === region && offset + map.sizeBytes > last);
    const offset = atEnd ? atEnd.offset - 1 : last;
    return { region, offset, busAddress: this.#baseAddress(region) + offset };
  }

  #baseAddress(bar: number): number {
    const at = BASE_ADDRESSES + 4 * bar;
    const low = this.#header.getUint32(at, true);
    const high = (low & IS_64_BIT) === 0 ? 0 : this.#header.getUint32(at + 4, true);
    return high * 2 ** 32 + low - (low & 0xf);
  }
}
