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
  type DmaMapping,
  DmaPath,
  type DmaPort,
  type DmaRole,
  NonCoherentDma,
} from '../memory';
import {
  type FieldName,
  type MapSpec,
  type RegisterFile,
  type RegisterMap,
  type RegisterPath,
  type RegisterView,
  type ResetKind,
} from '../registers';
import { type DeviceLayout, type SetIrqs } from '../device';
import { type ConfigRegisters } from './author-config';
import { type BarOptions, type BarTarget } from './bars';
import { type CustomCapability, type CustomExtendedCapability } from './capabilities/custom';
import { CardBars, type MemoryBarOptions } from './card-bars';
import { CardEvents } from './card-events';
import { type DmaChannelDeclaration, DmaChannels } from './dma-channels';
import { type CardIdentity, checkIdentity } from './identity';
import { CardInspection } from './inspection';
import { type InterruptBlock, InterruptBlocks, type InterruptWiring } from './interrupt-block';
import { type InterruptController } from './interrupt-controller';
import { InterruptPath } from './interrupt-path';
import { type MemoryAllocator, type MemoryBar, privateMemory } from './memory-bar';
import { ObservedDevice } from './observed-device';
import { ObservedDma } from './observed-dma';
import { PciFunction } from './pci-function';
import { PlatformTable } from './platform/table';
import { asDeviceError, checkAccess, checkRegion, CONFIG_SIZE_BYTES, Region, REGION_COUNT } from './vfio-layout';

/** What the environment provides to a card. */
export interface CardEnvironment {
  /** Device time; default the wall clock. */
  readonly clock?: Clock;
  /** @internal Allocates mappable memory; default: memory of this process, which no client can map. */
  readonly allocate?: MemoryAllocator;
}

/**
 * Called with each card before it is driven for the first time, so that a tool can observe every card from the start. A
 * function applies to the cards first driven after it was added.
 */
export const onFirstDriven = new Set<(card: PciCard) => void>();

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
 * Protected members are for the card's author. A test drives a card by an `InProcessHost` or from a guest.
 */
export abstract class PciCard {
  protected readonly clock: Clock;
  /** Host memory that the client has mapped, if Bus Master Enable allows; as last synchronised if not coherent. */
  protected readonly dma: DmaPort;
  protected readonly interrupts: InterruptController;
  /** @internal For tools that observe a card from outside: traces, test matchers. */
  readonly inspection: CardInspection;

  readonly #events: CardEvents;
  readonly #function: PciFunction;
  readonly #interrupts: InterruptPath;
  readonly #bars: CardBars;
  readonly #hostMemory = new AddressMap();
  readonly #dma = new DmaAccess(this.#hostMemory, () => this.#function.mastersBus);
  readonly #nonCoherent: NonCoherentDma | undefined;
  /** Present when the card was given no clock. */
  readonly #ownClock: WallClock | undefined;
  readonly #channels = new DmaChannels();
  readonly #interruptBlocks: InterruptBlocks;
  #layout: DeviceLayout | undefined;
  #closed = false;

  /** Throws CardDefinitionError when PCI cannot represent `identity`. */
  constructor(identity: CardIdentity, environment: CardEnvironment = {}) {
    checkIdentity(identity);
    const clock = new CardClock(environment.clock ?? (this.#ownClock = new WallClock()));
    this.clock = clock;
    const platform = PlatformTable.of(identity, () => void this.layout);
    this.#bars = new CardBars(environment.allocate ?? privateMemory, platform);
    const events = (this.#events = new CardEvents(clock));
    clock.onTask = () => events.publish({ kind: 'task' });
    clock.onNested = () => events.publish({ kind: 'nested' });
    this.#function = new PciFunction(identity, this.#bars, events, clock, (kind) => this.#reset(kind), platform);
    this.interrupts = this.#interrupts = new InterruptPath(this.#function.interrupts, events);
    this.#interruptBlocks = new InterruptBlocks(this.interrupts);
    const { coherent = true, viewLimitBytes } = identity;
    const memory = new DmaAccess(this.#hostMemory, () => true);
    if (!coherent) this.#nonCoherent = new NonCoherentDma(this.#dma, memory, viewLimitBytes);
    const path = new DmaPath(this.#nonCoherent ?? this.#dma, (below) => new ObservedDma(below, events, clock));
    this.inspection = new CardInspection(
      clock,
      events,
      () => onFirstDriven.forEach((tool) => tool(this)),
      new ObservedDevice(this, clock, events),
      this.#bars.registerFiles,
      () => this.#function.config.structures,
      path,
      this.#interrupts,
      { map: this.#hostMemory, port: memory },
      () => (void this.layout, this.#bars.contents()),
      this.#function.errors,
      () => this.#channels.describe(this.#bars.registerFiles),
    );
    this.inspection.interruptsPushWrites = identity.interruptsPushWrites ?? true;
    this.dma = this.dmaAs({ channel: '', role: 'other' });
    const { msix } = this.#function;
    if (identity.msix && msix) this.#bars.addMsix(identity.msix, msix.windows);
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
    return this.#bars.addRegisters(index, map, options);
  }

  /** Makes BAR `index` show `sizeBytes` of memory (a power of two), the card's `bytes`. Resets do not change it. */
  protected memoryBar(index: number, sizeBytes: number, options: MemoryBarOptions = {}): MemoryBar {
    return this.#bars.addMemory(index, sizeBytes, options);
  }

  /** Gives the card an expansion ROM; the rest of its size, a power of two, reads ones. */
  protected expansionRom(image: Uint8Array): void {
    this.#bars.addRom(image);
  }

  /** Adds a capability to configuration space; the returned register file is the card's side of its registers. */
  protected capability<S extends MapSpec>(capability: CustomCapability<S>): RegisterFile<S> {
    return this.#function.author.capability(capability);
  }

  /** Adds a capability to extended configuration space. The first one lies at 0x100. */
  protected extendedCapability<S extends MapSpec>(capability: CustomExtendedCapability<S>): RegisterFile<S> {
    return this.#function.author.extendedCapability(capability);
  }

  /** Adds registers to configuration space that belong to no capability. */
  protected configRegisters<S extends MapSpec>(registers: ConfigRegisters<S>): RegisterFile<S> {
    return this.#function.author.registers(registers);
  }

  /** `dma` for one part of the card: traces and injected faults identify its accesses by the channel name. */
  protected dmaAs(by: { readonly channel: string; readonly role: DmaRole }): DmaPort {
    return this.inspection.dma.port(by);
  }

  /**
   * `dmaAs` for each role of a DMA channel, of which tools are told more: its doorbells, and how its descriptors lie in
   * memory. A register that the card does not have is a CardDefinitionError when the layout is read.
   */
  protected dmaChannel(channel: string, declaration: DmaChannelDeclaration = {}): (role: DmaRole) => DmaPort {
    this.#channels.declare(channel, declaration);
    return (role) => this.dmaAs({ channel, role });
  }

  /**
   * Makes an interrupt aggregator of registers: `wiring` says what each is for. The INTx line is driven by all aggregators
   * of the card together; a card with one leaves `interrupts.setIntx` alone.
   */
  protected interruptBlock<S, P extends RegisterPath<S>>(
    registers: RegisterView<S>,
    wiring: InterruptWiring<S> & { readonly status: P },
  ): InterruptBlock<FieldName<S, P>> {
    return this.#interruptBlocks.add(registers, wiring);
  }

  /** Publishes, for traces, that a part of the card has changed its state: 'H2C0' is 'running'. */
  protected changed(part: string, state: string): void {
    this.#events.publish({ kind: 'state', part, state });
  }

  /**
   * Called in every reset, after the registers of all BARs have their reset values (but for those that are declared to
   * survive it) and all interrupts are deasserted:
   * the card is to stop its operations and discard their state. The default does nothing.
   */
  protected onReset(_kind: ResetKind): void {}

  /** @internal The device interface, for what drives the card: see `Device`. */
  get layout(): DeviceLayout {
    return (this.#layout ??= this.#finalizeLayout());
  }

  /** @internal */
  readRegion(region: number, offset: number, data: Uint8Array): void {
    const target = this.#select(region, offset, data.length);
    if (target) target.read(offset, data);
    else data.fill(0xff); // Nothing claims the read: the root complex returns all ones.
  }

  /** @internal */
  writeRegion(region: number, offset: number, data: Uint8Array): void {
    this.#select(region, offset, data.length)?.write(offset, data);
  }

  /** @internal */
  mapDma(mapping: DmaMapping): void {
    asDeviceError(() => this.#hostMemory.add(mapping));
  }

  /** @internal */
  unmapDma(iova: bigint, sizeBytes: bigint): readonly DmaMapping[] {
    const removed = asDeviceError(() => this.#hostMemory.remove(iova, sizeBytes));
    for (const mapping of removed) this.#nonCoherent?.unmapped(Number(mapping.iova), Number(mapping.sizeBytes));
    return removed;
  }

  /** @internal Sets up interrupts as the client asks (VFIO_DEVICE_SET_IRQS). */
  setIrqs(request: SetIrqs): void {
    this.#function.interrupts.setIrqs(request);
  }

  /** @internal Whether this is one of several functions of its card, which sets it (`MultifunctionCard`). */
  get isMultifunction(): boolean {
    return this.#function.isMultifunction;
  }

  /** @internal */
  set isMultifunction(isOneOfSeveral: boolean) {
    this.#function.isMultifunction = isOneOfSeveral;
  }

  /**
   * Resets the function: as its client does, or because the link of its slot goes down, or the card loses its power. What
   * its host has mapped and connected stays so.
   */
  reset(cause: 'device' | 'link-down' | 'power' = 'device'): void {
    this.#reset(cause);
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
      this.#bars.close();
    }
  }

  /** The target of this access; undefined outside any BAR, while decoding is off and while not ready. */
  #select(region: number, offset: number, accessBytes: number): BarTarget | undefined {
    const bar = this.#bars.at(region);
    if (bar !== undefined) {
      checkAccess(region, offset, accessBytes, bar.sizeBytes);
      return (bar.io ? this.#function.decodesIo : this.#function.decodesMemory) ? bar.target : undefined;
    }
    if (region === Region.CONFIG) {
      checkAccess(region, offset, accessBytes, CONFIG_SIZE_BYTES);
      return this.#function.isReady ? this.#function.config : undefined;
    }
    const { rom } = this.#bars;
    if (region === Region.ROM && rom) {
      checkAccess(region, offset, accessBytes, rom.sizeBytes);
      return this.#function.isReady ? rom : undefined;
    }
    checkRegion(region);
    return undefined;
  }

  #reset(kind: ResetKind): void {
    this.#events.publish({ kind: 'reset', reset: kind });
    this.inspection.countReset(kind);
    this.#dma.drop();
    this.#nonCoherent?.clear();
    this.#function.reset(kind);
    this.#interrupts.reset();
    for (const file of this.#bars.registerFiles.values()) file.reset(kind);
    this.#interruptBlocks.reset();
    this.onReset(kind);
  }

  /** Fixes the layout; the author has added all BARs by then. */
  #finalizeLayout(): DeviceLayout {
    this.#bars.finalize();
    this.#channels.describe(this.#bars.registerFiles); // throws what is wrong with them
    void this.#function.config.structures; // Throws when they cannot all have a place.
    const config = { sizeBytes: CONFIG_SIZE_BYTES, readable: true, writable: true };
    return {
      resettable: true,
      regions: Array.from({ length: REGION_COUNT }, (_, index) =>
        index === Region.CONFIG ? config : this.#bars.regionLayout(index),
      ),
      irqs: this.#function.interrupts.layout,
    };
  }
}
