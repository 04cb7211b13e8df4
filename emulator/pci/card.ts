/**
 * `PciCard`: what a card author extends. It is a PCI Express endpoint that answers at the seam (Device); the
 * subclass says who it is, which BARs it has, and what its registers do.
 *
 * Source: Linux include/uapi/linux/vfio.h for the numbering of regions; PCI Local Bus Spec 3.0, chapter 6.
 */
import { CardClock, type Clock, WallClock } from '../clock';
import {
  AddressMap,
  AddressMapError,
  type Coherence,
  DmaAccess,
  type DmaInitiator,
  type DmaMapping,
  DmaPath,
  type DmaPort,
  NonCoherentDma,
} from '../memory';
import { type MapSpec, RegisterFile, type RegisterMap } from '../registers';
import { DeviceError, type DeviceLayout, type RegionLayout, type SetIrqs, type Device } from '../device';
import { type BarOptions, Bars, type BarTarget } from './bars';
import { CardEvents } from './card-events';
import { CardDefinitionError } from './card-definition-error';
import { type CardIdentity, checkIdentity } from './identity';
import { type BarContents, CardInspection } from './inspection';
import { type InterruptController } from './interrupt-controller';
import { InterruptPath } from './interrupt-path';
import { type MemoryAllocator, MemoryBar, privateMemory } from './memory-bar';
import { ObservedDevice } from './observed-device';
import { ObservedDma } from './observed-dma';
import { PciFunction, type ResetKind } from './pci-function';
import { PlatformTable } from './platform/table';
import { BAR_COUNT, CONFIG_SIZE_BYTES, EEXIST, EINVAL, Region, REGION_COUNT } from './vfio-layout';

/** What a card is given from outside. */
export interface CardEnvironment {
  /** Device time; default the wall clock. */
  readonly clock?: Clock;
  /** Where mappable memory comes from; default memory of this process, which no client can map. */
  readonly allocate?: MemoryAllocator;
}

export interface MemoryBarOptions extends BarOptions {
  /** Offer the memory to the client, so that the guest reaches it without a message; needs an allocator with a file. */
  readonly mappable?: boolean;
}

/**
 * Called with each card before it is driven for the first time: how a tool follows every card from its beginning. What a
 * tool adds when it is loaded holds for the cards that come after.
 */
export const onFirstDriven = new Set<(card: PciCard) => void>();

/** A BAR of registers is at least a page, so that a driver in the guest's user space can map it. */
const PAGE_BYTES = 4096;

/**
 * A card, as its author writes it down:
 *
 *     class BlinkCard extends PciCard {
 *       readonly registers = this.registerBar(0, BLINK);
 *       constructor(environment: CardEnvironment = {}) {
 *         super({ vendorId: 0x1234, deviceId: 0x4743, classCode: 0x12_00_00, intx: 'A' }, environment);
 *         this.registers.onWrite('LEDS', ({ value }) => …);
 *       }
 *     }
 *
 * Protected members are the author's; public ones are the seam, for whoever plugs the card in.
 */
export abstract class PciCard implements Device {
  protected readonly clock: Clock;
  /** Host memory, as far as the client has mapped it and Bus Master Enable allows; as it was last synchronised. */
  protected readonly dma: DmaPort;
  protected readonly interrupts: InterruptController;
  /** For tools that look at a card from outside: traces, test matchers. */
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

  /** Throws CardDefinitionError when `identity` is none that PCI could show. */
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

  /** Of a card that is not coherent (`coherent: false`): what its driver synchronises, and what it has forgotten to. */
  get coherence(): Coherence | undefined {
    return this.#nonCoherent;
  }

  /** BAR `index` shows the registers of `map`; the register file is the card's side of them. */
  protected registerBar<S extends MapSpec>(
    index: number,
    map: RegisterMap<S>,
    options: BarOptions = {},
  ): RegisterFile<S> {
    if (map.sizeBytes < PAGE_BYTES) {
      throw new CardDefinitionError(
        `BAR ${index} (registers) is ${map.sizeBytes} bytes: a driver can map pages only; make the map's sizeBytes ` +
          `${PAGE_BYTES} or more`,
      );
    }
    const file = this.#addBar(index, 'registers', map.sizeBytes, options, () => new RegisterFile(map));
    this.#registerFiles.set(index, file);
    return file;
  }

  /** BAR `index` shows `sizeBytes` of memory (a power of two), which the card finds in `bytes`. Resets leave it alone. */
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

  /** `dma` for one part of the card: a trace tells its accesses from those of others, and faults find it by its name. */
  protected dmaAs(by: DmaInitiator): DmaPort {
    return this.inspection.dma.port(by);
  }

  /** Publishes, for traces, that a part of the card has changed its state: 'H2C0' is 'running'. */
  protected changed(part: string, state: string): void {
    this.#events.publish({ kind: 'state', part, state });
  }

  /**
   * Called in every reset, after the registers of all BARs have their reset values and the interrupts are quiet: the
   * card stops what it is doing and forgets it. The default does nothing.
   */
  protected onReset(_kind: ResetKind): void {}

  get layout(): DeviceLayout {
    return (this.#layout ??= this.#settle());
  }

  readRegion(region: number, offset: number, data: Uint8Array): void {
    const answering = this.#select(region, offset, data.length);
    if (answering) answering.read(offset, data);
    else data.fill(0xff); // Nobody claims the read: the root complex makes up all ones.
  }

  writeRegion(region: number, offset: number, data: Uint8Array): void {
    this.#select(region, offset, data.length)?.write(offset, data);
  }

  mapDma(mapping: DmaMapping): void {
    refusing(() => this.#hostMemory.add(mapping));
  }

  unmapDma(iova: bigint, sizeBytes: bigint): readonly DmaMapping[] {
    const removed = refusing(() => this.#hostMemory.remove(iova, sizeBytes));
    for (const mapping of removed) this.#nonCoherent?.unmapped(Number(mapping.iova), Number(mapping.sizeBytes));
    return removed;
  }

  setIrqs(request: SetIrqs): void {
    this.#function.interrupts.setIrqs(request);
  }

  reset(): void {
    this.#reset('device');
  }

  /** Stops the card, and lets go of connected interrupts and the memory of BARs. It must not be used afterwards. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#events.close(); // nothing of this happens on a board
    this.inspection.isClosed = true;
    try {
      this.#reset('device'); // What the card is doing must not outlive the memory that it does it with.
    } finally {
      this.#ownClock?.close();
      this.#function.interrupts.disconnectAll();
      for (const memory of this.#memories.values()) memory.close();
    }
  }

  /** What answers this access; nothing where no BAR is, and while memory is not decoded. */
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

  /** Adds a BAR to those of the card; its target is made once it is known that there is room for it. */
  #addBar<T extends BarTarget>(index: number, label: string, sizeBytes: number, options: BarOptions, make: () => T): T {
    if (this.#layout) {
      throw new CardDefinitionError(
        `BAR ${index} (${label}): the card's layout has been read already; add BARs in the constructor or in fields`,
      );
    }
    const { width = 32, prefetchable = false } = options;
    return this.#bars.add({ index, label, sizeBytes, width, prefetchable }, make);
  }

  /** All BARs of the author are there. */
  #settle(): DeviceLayout {
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

function checkAccess(region: number, offset: number, accessBytes: number, sizeBytes: number): void {
  if (offset >= 0 && offset + accessBytes <= sizeBytes) return;
  const what = region < BAR_COUNT ? `BAR ${region}` : 'configuration space';
  const where = `offset ${offset < 0 ? offset : `0x${offset.toString(16)}`} of ${what}`;
  throw new DeviceError(EINVAL, `access of ${accessBytes} bytes at ${where}: it has ${sizeBytes} bytes`);
}

function checkRegion(region: number): void {
  if (Number.isInteger(region) && region >= 0 && region < REGION_COUNT) return;
  throw new DeviceError(EINVAL, `access to region ${region}: there are 0 to ${REGION_COUNT - 1}`);
}

/** The address map knows nothing of clients: what it refuses, as the specification wants the client to be told. */
function refusing<T>(act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (error instanceof AddressMapError)
      throw new DeviceError(error.kind === 'exists' ? EEXIST : EINVAL, error.message);
    throw error;
  }
}
