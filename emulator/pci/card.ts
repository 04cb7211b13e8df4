/**
 * `PciCard`, the class that a card author extends: a PCI Express endpoint that implements the device interface (Device).
 * The subclass defines its identity, its BARs, and the behaviour of its registers.
 *
 * Source: Linux include/uapi/linux/vfio.h for the numbering of regions; PCI Local Bus Spec 3.0, chapter 6.
 */
import { CardClock, type Clock, WallClock } from '../clock';
import {
  AddressMap,
  type Coherence,
  DmaAccess,
  type DmaInitiator,
  type DmaMapping,
  DmaPath,
  type DmaPort,
  NonCoherentDma,
} from '../memory';
import { type MapSpec, RegisterFile, type RegisterMap } from '../registers';
import { type DeviceLayout, type RegionLayout, type SetIrqs, type Device } from '../device';
import { type BarOptions, Bars, type BarTarget } from './bars';
import { CardEvents } from './card-events';
import { CardDefinitionError, type CardIdentity, checkIdentity } from './identity';
import { type BarContents, CardInspection } from './inspection';
import { type InterruptController } from './interrupt-controller';
import { InterruptPath } from './interrupt-path';
import { type MemoryAllocator, MemoryBar, privateMemory } from './memory-bar';
import { ObservedDevice } from './observed-device';
import { ObservedDma } from './observed-dma';
import { PciFunction, type ResetKind } from './pci-function';
import { PlatformTable } from './platform/table';
import { asDeviceError, checkAccess, checkRegion, CONFIG_SIZE_BYTES, Region, REGION_COUNT } from './vfio-layout';

/** What the environment provides to a card. */
export interface CardEnvironment {
  /** Device time; default the wall clock. */
  readonly clock?: Clock;
  /** Allocates mappable memory; default: memory of this process, which no client can map. */
  readonly allocate?: MemoryAllocator;
}

export interface MemoryBarOptions extends BarOptions {
  /** Let the client map the memory, so that guest accesses need no message; needs an allocator that provides a file. */
  readonly mappable?: boolean;
}

/**
 * Called with each card before it is driven for the first time, so that a tool can observe every card from the start. A
 * function applies to the cards first driven after it was added.
 */
export const onFirstDriven = new Set<(card: PciCard) => void>();

/** A BAR of registers is at least a page, so that a driver in the guest's user space can map it. */
const PAGE_BYTES = 4096;

/**
 * A card, as its author writes it:
 *
 *     class BlinkCard extends PciCard {
 *       readonly registers = this.registerBar(0, BLINK);
 *       constructor(environment: CardEnvironment = {}) {
 *         super({ vendorId: 0x1234, deviceId: 0x4743, classCode: 0x12_00_00, intx: 'A' }, environment);
 *         this.registers.onWrite('LEDS', ({ value }) => …);
 *       }
 *     }
 *
 * Protected members are for the card's author; public ones are the device interface, for the code that drives the card.
 */
export abstract class PciCard implements Device {
  protected readonly clock: Clock;
  /** Host memory that the client has mapped, if Bus Master Enable allows; as last synchronised if not coherent. */
  protected readonly dma: DmaPort;
  protected readonly interrupts: InterruptController;
  /** For tools that observe a card from outside: traces, test matchers. */
  readonly inspection: CardInspection;

  readonly #events: CardEvents;
  readonly #function: PciFunction;
  readonly #interrupts: InterruptPath;
  readonly #bars = new Bars();
  readonly #registerFiles = new Map<number, RegisterFile>();
  readonly #memories = new Map<number, MemoryBar>();
  readonly #hostMemory = new AddressMap();
  readonly #dma = new DmaAccess(this.#hostMemory, () => this.#function.mastersBus);
  readonly #nonCoherent: NonCoherentDma | undefined;
  readonly #allocate: MemoryAllocator;
  /** Present when the card describes platform devices. */
  readonly #platform: PlatformTable | undefined;
  /** Present when the card was given no clock. */
  readonly #ownClock: WallClock | undefined;
  #layout: DeviceLayout | undefined;
  #closed = false;

  /** Throws CardDefinitionError when PCI cannot represent `identity`. */
  constructor(identity: CardIdentity, environment: CardEnvironment = {}) {
    checkIdentity(identity);
    const clock = new CardClock(environment.clock ?? (this.#ownClock = new WallClock()));
    this.clock = clock;
    this.#allocate = environment.allocate ?? privateMemory;
    this.#platform = PlatformTable.of(identity, () => void this.layout);
    const events = (this.#events = new CardEvents(clock));
    clock.onTask = () => events.publish({ kind: 'task' });
    clock.onNested = () => events.publish({ kind: 'nested' });
    this.#function = new PciFunction(identity, this.#bars, events, () => this.#reset('flr'), this.#platform);
    this.interrupts = this.#interrupts = new InterruptPath(this.#function.interrupts, events);
    const { coherent = true, viewLimitBytes } = identity;
    const memory = new DmaAccess(this.#hostMemory, () => true);
    if (!coherent) this.#nonCoherent = new NonCoherentDma(this.#dma, memory, viewLimitBytes);
    const path = new DmaPath(this.#nonCoherent ?? this.#dma, (below) => new ObservedDma(below, events, clock));
    this.inspection = new CardInspection(
      clock,
      events,
      () => onFirstDriven.forEach((tool) => tool(this)),
      new ObservedDevice(this, clock, events),
      this.#registerFiles,
      this.#function.config.structures,
      path,
      this.#interrupts,
      { map: this.#hostMemory, port: memory },
      () => this.#contents(identity),
    );
    this.dma = this.dmaAs({ channel: '', role: 'other' });
    const { msix } = this.#function;
    if (identity.msix && msix) {
      const { bar } = identity.msix;
      const table = this.#platform?.putInto(bar, msix.tableAndPbaBytes);
      const sizeBytes = table?.barBytes ?? msix.bar.sizeBytes;
      this.#addBar(bar, 'MSI-X table', sizeBytes, {}, () => table?.target(msix.bar) ?? msix.bar);
    }
  }

  /** For a non-coherent card (`coherent: false`): what its driver synchronises, and what it failed to. */
  get coherence(): Coherence | undefined {
    return this.#nonCoherent;
  }

  /** Makes BAR `index` show the registers of `map`; the returned register file is the card's side of them. */
  protected registerBar<S extends MapSpec>(
    index: number,
    map: RegisterMap<S>,
    options: BarOptions = {},
  ): RegisterFile<S> {
    if (map.sizeBytes < PAGE_BYTES) {
      throw new CardDefinitionError(
        `BAR ${index} (registers) is ${map.sizeBytes} bytes: a driver can only map whole pages; set the map's sizeBytes ` +
          `to ${PAGE_BYTES} or more`,
      );
    }
    const file = this.#addBar(index, 'registers', map.sizeBytes, options, () => new RegisterFile(map));
    this.#registerFiles.set(index, file);
    return file;
  }

  /** Makes BAR `index` show `sizeBytes` of memory (a power of two), the card's `bytes`. Resets do not change it. */
  protected memoryBar(index: number, sizeBytes: number, options: MemoryBarOptions = {}): MemoryBar {
    const { mappable = false, ...kind } = options;
    if (mappable && sizeBytes < PAGE_BYTES) {
      throw new CardDefinitionError(
        `BAR ${index} (memory) is ${sizeBytes} bytes and mappable: a client maps whole pages of ${PAGE_BYTES} bytes`,
      );
    }
    const allocate = mappable ? this.#allocate : privateMemory;
    const memory = this.#addBar(index, 'memory', sizeBytes, { width: 64, prefetchable: true, ...kind }, () => {
      return new MemoryBar(() => allocate(sizeBytes, `ghostcard-bar${index}`), mappable);
    });
    this.#memories.set(index, memory);
    return memory;
  }

  /** `dma` for one part of the card: traces and injected faults identify its accesses by the channel name. */
  protected dmaAs(by: DmaInitiator): DmaPort {
    return this.inspection.dma.port(by);
  }

  /** Publishes, for traces, that a part of the card has changed its state: 'H2C0' is 'running'. */
  protected changed(part: string, state: string): void {
    this.#events.publish({ kind: 'state', part, state });
  }

  /**
   * Called in every reset, after the registers of all BARs have their reset values and all interrupts are deasserted:
   * the card is to stop its operations and discard their state. The default does nothing.
   */
  protected onReset(_kind: ResetKind): void {}

  get layout(): DeviceLayout {
    return (this.#layout ??= this.#finalizeLayout());
  }

  readRegion(region: number, offset: number, data: Uint8Array): void {
    const target = this.#select(region, offset, data.length);
    if (target) target.read(offset, data);
    else data.fill(0xff); // Nothing claims the read: the root complex returns all ones.
  }

  writeRegion(region: number, offset: number, data: Uint8Array): void {
    this.#select(region, offset, data.length)?.write(offset, data);
  }

  mapDma(mapping: DmaMapping): void {
    asDeviceError(() => this.#hostMemory.add(mapping));
  }

  unmapDma(iova: bigint, sizeBytes: bigint): readonly DmaMapping[] {
    const removed = asDeviceError(() => this.#hostMemory.remove(iova, sizeBytes));
    for (const mapping of removed) this.#nonCoherent?.unmapped(Number(mapping.iova), Number(mapping.sizeBytes));
    return removed;
  }

  setIrqs(request: SetIrqs): void {
    this.#function.interrupts.setIrqs(request);
  }

  reset(): void {
    this.#reset('device');
  }

  /** Stops the card, and releases connected interrupts and the memory of BARs. It must not be used afterwards. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#events.close(); // closing has no equivalent in hardware
    this.inspection.isClosed = true;
    try {
      this.#reset('device'); // No operation of the card may outlive the memory that it uses.
    } finally {
      this.#ownClock?.close();
      this.#function.interrupts.disconnectAll();
      for (const memory of this.#memories.values()) memory.close();
    }
  }

  /** The target of this access; undefined outside any BAR and while memory decode is off. */
  #select(region: number, offset: number, accessBytes: number): BarTarget | undefined {
    const bar = this.#bars.at(region);
    if (bar !== undefined) {
      checkAccess(region, offset, accessBytes, bar.sizeBytes);
      return this.#function.decodesMemory ? bar.target : undefined;
    }
    if (region === Region.CONFIG) {
      checkAccess(region, offset, accessBytes, CONFIG_SIZE_BYTES);
      return this.#function.config;
    }
    checkRegion(region);
    return undefined;
  }

  #reset(kind: ResetKind): void {
    const isClients = kind === 'flr' || this.inspection.device.isResetting;
    this.#events.publish({ kind: 'reset', reset: isClients ? kind : 'other' });
    this.inspection.onReset();
    this.#dma.drop();
    this.#nonCoherent?.clear();
    this.#function.reset(kind);
    this.#interrupts.reset();
    for (const file of this.#registerFiles.values()) file.reset();
    this.onReset(kind);
  }

  /** Adds a BAR to the card; `make` creates its target after the checks have passed. */
  #addBar<T extends BarTarget>(index: number, label: string, sizeBytes: number, options: BarOptions, make: () => T): T {
    if (this.#layout) {
      throw new CardDefinitionError(
        `BAR ${index} (${label}): the card's layout has been read already; add BARs in the constructor or in fields`,
      );
    }
    const { width = 32, prefetchable = false } = options;
    return this.#bars.add({ index, label, sizeBytes, width, prefetchable }, make);
  }

  /** Fixes the layout; the author has added all BARs by then. */
  #finalizeLayout(): DeviceLayout {
    if (this.#platform) this.#completeTable(this.#platform);
    return {
      resettable: true,
      regions: Array.from({ length: REGION_COUNT }, (_, index) => this.#regionLayout(index)),
      irqs: this.#function.interrupts.layout,
    };
  }

  #contents({ msix }: CardIdentity): BarContents {
    const { regions } = this.layout;
    const memory = [...this.#memories.keys()].map((bar) => ({ bar, offset: 0, sizeBytes: regions[bar]!.sizeBytes }));
    if (this.#platform) memory.push({ ...this.#platform.place, sizeBytes: this.#platform.sizeBytes });
    const table = this.#function.msix?.bar.map;
    return { memory, ...(msix && table && { msix: { bar: msix.bar, map: table } }) };
  }

  #completeTable(platform: PlatformTable): void {
    if (!platform.hasPlace) {
      const slot = this.#bars.freeSlot;
      if (slot === undefined) throw PlatformTable.noPlace();
      const { barBytes, target } = platform.putInto(slot);
      this.#addBar(slot, 'table of platform devices', barBytes, {}, () => target());
    }
    platform.complete((index) => this.#bars.at(index));
  }

  #regionLayout(index: number): RegionLayout {
    if (index === Region.CONFIG) return { sizeBytes: CONFIG_SIZE_BYTES, readable: true, writable: true };
    const bar = this.#bars.at(index);
    if (!bar) return { sizeBytes: 0, readable: false, writable: false };
    const present = { sizeBytes: bar.sizeBytes, readable: true, writable: true };
    const fd = this.#memories.get(index)?.fd;
    if (fd === undefined) return present;
    return { ...present, mappable: { fd, areas: [{ offset: 0, sizeBytes: bar.sizeBytes }] } };
  }
}
