/**
 * A host in this process: drives a card from plain TypeScript, without QEMU, through the same device interface as a
 * vfio-user session.
 *
 * Like firmware and kernel before a driver runs, it sizes and places the BARs, and enables memory decode and bus
 * mastering. Host memory is mapped for DMA as one range.
 */
import { PciCard } from '../pci';
import { type MapSpec, type RegisterMap } from '../registers';
import { type Device } from '../device';
import { BAR_SLOTS, placeBars } from './enumeration';
import { HostInterrupts, type InterruptKind } from './interrupts';
import { initiateFunctionLevelReset, selectInterrupts } from './capabilities';
import { HostMemory } from './memory';
import { NamedRegisters } from './named-registers';
import { RegionSpace } from './space';

/** What the host in this process has. */
export interface HostOptions {
  /** Memory mapped for DMA, in bytes; default 4 MiB. */
  readonly memoryBytes?: number;
  /** Its first address as the device sees it; default 1 MiB. */
  readonly memoryIova?: number;
  /** Assign BARs and enable the function; default true. */
  readonly enumerate?: boolean;
}

/** VFIO region indexes. */
const configRegion = 7;
const romRegion = 6;
/** Command register (PCI Local Bus Specification 3.0, section 6.2.2). */
const COMMAND_OFFSET = 0x04;
/** Bits of the command register (PCI Local Bus Spec 3.0, 6.2.2). */
export const COMMAND = { IO_SPACE: 1, MEMORY_SPACE: 1 << 1, BUS_MASTER: 1 << 2, INTERRUPT_DISABLE: 1 << 10 } as const;
/** A host in this process: drives a card without QEMU, by the interface that a vfio-user session uses. */
export class InProcessHost {
  readonly config: RegionSpace;
  /** The expansion ROM. */
  readonly rom: RegionSpace;
  readonly memory: HostMemory;
  readonly interrupts: HostInterrupts;
  readonly #bars: RegionSpace[];
  /** The device that is driven; for a card, the one that publishes events. */
  readonly #driven: Device;

  /** Drives `card`, of which it fixes the BARs. */
  constructor(card: PciCard, options?: HostOptions);
  /** @internal */
  constructor(device: Device, options?: HostOptions);
  constructor(
    /** @internal */
    readonly device: Device,
    options: HostOptions = {},
  ) {
    const { memoryBytes = 4 << 20, memoryIova = 1 << 20, enumerate = true } = options;
    const driven = (this.#driven = device instanceof PciCard ? device.inspection.device : device);
    void device.layout; // fixes the layout: adding a BAR later is an error
    this.config = new RegionSpace(driven, configRegion);
    this.rom = new RegionSpace(driven, romRegion);
    this.#bars = Array.from({ length: BAR_SLOTS }, (_, index) => new RegionSpace(driven, index));
    this.interrupts = new HostInterrupts(driven);
    this.memory = new HostMemory(memoryIova, memoryBytes);
    driven.mapDma({
      iova: BigInt(memoryIova),
      sizeBytes: BigInt(memoryBytes),
      readable: true,
      writable: true,
      backing: { kind: 'bytes', bytes: this.memory.bytes },
    });
    if (enumerate) this.enumerate();
  }

  /** The contents of a BAR. @throws RangeError if the card has none with this number */
  bar(index: number): RegionSpace {
    const bar = this.#bars[index];
    if (bar === undefined) throw new RangeError(`BAR ${index}: a function has BARs 0 to ${BAR_SLOTS - 1}`);
    return bar;
  }

  /** The registers of a BAR by name, as a driver accesses them. */
  registers<S extends MapSpec>(bar: number, map: RegisterMap<S>): NamedRegisters<S> {
    return new NamedRegisters(this.bar(bar), map);
  }

  /** Sizes and places every BAR as firmware does, then enables what they need, and bus mastering. */
  enumerate(): void {
    const { hasIo } = placeBars(this.config);
    this.command(COMMAND.MEMORY_SPACE | COMMAND.BUS_MASTER | (hasIo ? COMMAND.IO_SPACE : 0));
  }

  /**
   * Resets the function as its client ('device') or its driver ('flr', in the PCI Express capability) does, and
   * enumerates it again. Interrupts enabled by `useInterrupts` are disabled.
   */
  reset(kind: 'device' | 'flr' = 'device'): void {
    if (kind === 'device') this.#driven.reset();
    else initiateFunctionLevelReset(this.config);
    this.enumerate();
  }

  /** Writes the command register. */
  command(bits: number): void {
    this.config.write16(COMMAND_OFFSET, bits);
  }

  /**
   * Sets up interrupts as a driver's request does: connects `vectors` of one kind to `interrupts`, in place of those used
   * before, and enables messages in configuration space (and in the MSI-X table).
   */
  useInterrupts(kind: InterruptKind, vectors = 1): void {
    this.interrupts.connect(kind, vectors);
    selectInterrupts(this.config, (index) => this.bar(index), kind, vectors);
  }
}
