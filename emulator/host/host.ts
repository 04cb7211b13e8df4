/**
 * A host in this process: drives a card from plain TypeScript through the seam that the socket uses, without QEMU.
 *
 * It does what firmware and kernel do before a driver runs: sizes and places the BARs, and enables memory decode and bus
 * mastering. Host memory is mapped for DMA as one range.
 */
import { type MapSpec, type RegisterMap } from '../registers';
import { type VfioUserDevice } from '../vfio-user/device';
import { HostInterrupts, type InterruptKind } from './interrupts';
import { selectInterrupts } from './messages';
import { HostMemory } from './memory';
import { NamedRegisters } from './named-registers';
import { RegionSpace } from './space';

export interface HostOptions {
  /** Memory mapped for DMA, in bytes; default 4 MiB. */
  readonly memoryBytes?: number;
  /** Its first address as the device sees it; default 1 MiB. */
  readonly memoryIova?: number;
  /** Assign BARs and enable the function; default true. */
  readonly enumerate?: boolean;
}

/** VFIO region index of configuration space. */
const configRegion = 7;
/** Type 0 header (PCI Local Bus Specification 3.0, section 6.1). */
const header = { COMMAND: 0x04, BAR0: 0x10 } as const;
export const COMMAND = { MEMORY_SPACE: 1 << 1, BUS_MASTER: 1 << 2, INTERRUPT_DISABLE: 1 << 10 } as const;
const barSlots = 6;
/** Where the host puts BARs: the usual PCI hole and a window above 4 GiB. */
const firstBarAddress = { low: 0xe000_0000n, high: 0x40_0000_0000n };

export class InProcessHost {
  readonly config: RegionSpace;
  readonly memory: HostMemory;
  readonly interrupts: HostInterrupts;
  readonly #bars: RegionSpace[];

  constructor(
    readonly device: VfioUserDevice,
    options: HostOptions = {},
  ) {
    const { memoryBytes = 4 << 20, memoryIova = 1 << 20, enumerate = true } = options;
    void device.layout; // final from here on: a BAR that is added later is an error
    this.config = new RegionSpace(device, configRegion);
    this.#bars = Array.from({ length: barSlots }, (_, index) => new RegionSpace(device, index));
    this.interrupts = new HostInterrupts(device);
    this.memory = new HostMemory(memoryIova, memoryBytes);
    device.mapDma({
      iova: BigInt(memoryIova),
      sizeBytes: BigInt(memoryBytes),
      readable: true,
      writable: true,
      backing: { kind: 'bytes', bytes: this.memory.bytes },
    });
    if (enumerate) this.enumerate();
  }

  bar(index: number): RegionSpace {
    const bar = this.#bars[index];
    if (bar === undefined) throw new RangeError(`BAR ${index}: a function has BARs 0 to ${barSlots - 1}`);
    return bar;
  }

  /** The registers of a BAR by name, as a driver accesses them. */
  registers<S extends MapSpec>(bar: number, map: RegisterMap<S>): NamedRegisters<S> {
    return new NamedRegisters(this.bar(bar), map);
  }

  /** Sizes and places every BAR as firmware does, then sets Memory Space Enable and Bus Master Enable. */
  enumerate(): void {
    const next = { ...firstBarAddress };
    for (let slot = 0; slot < barSlots; slot++) {
      const offset = header.BAR0 + 4 * slot;
      this.config.write32(offset, 0xffff_ffff);
      const low = this.config.read32(offset);
      if (low === 0) continue;
      const is64Bit = (low & 0x6) === 0x4;
      let mask = BigInt(low & ~0xf) | 0xffff_ffff_0000_0000n;
      if (is64Bit) {
        this.config.write32(offset + 4, 0xffff_ffff);
        mask = (BigInt(this.config.read32(offset + 4)) << 32n) | BigInt((low & ~0xf) >>> 0);
      }
      const sizeBytes = BigInt.asUintN(64, ~BigInt.asUintN(64, mask & ~0xfn) + 1n) & (is64Bit ? -1n : 0xffff_ffffn);
      const window = is64Bit ? 'high' : 'low';
      const address = (next[window] + sizeBytes - 1n) & ~(sizeBytes - 1n);
      next[window] = address + sizeBytes;
      this.config.write32(offset, Number(address & 0xffff_ffffn));
      if (is64Bit) this.config.write32(header.BAR0 + 4 * ++slot, Number(address >> 32n));
    }
    this.command(COMMAND.MEMORY_SPACE | COMMAND.BUS_MASTER);
  }

  /** Writes the command register. */
  command(bits: number): void {
    this.config.write16(header.COMMAND, bits);
  }

  /**
   * Does what a driver's request for interrupts leads to: connects `vectors` of one kind to `interrupts`, in place of
   * what was used before, and, for messages, enables them in configuration space (and in the MSI-X table).
   */
  useInterrupts(kind: InterruptKind, vectors = 1): void {
    this.interrupts.connect(kind, vectors);
    selectInterrupts(this.config, (index) => this.bar(index), kind, vectors);
  }
}
