/**
 * The contents of a card's BARs: registers and memory of its author, and what the library shows there itself, MSI-X and
 * the table of platform devices (bar-windows.ts). What configuration space shows of BARs is in bars.ts.
 *
 * Source: PCI Local Bus Spec 3.0, 6.2.5 and 6.8.2.
 */
import { type RegionLayout } from '../device';
import { type MapSpec, RegisterFile, type RegisterMap } from '../registers';
import { type BarWindow, NOTHING, outside, overlap, WindowedTarget } from './bar-windows';
import { type Bar, type BarOptions, Bars, type BarTarget } from './bars';
import { ExpansionRom } from './expansion-rom';
import { CardDefinitionError, type MsixIdentity } from './identity';
import { type BarContents } from './inspection';
import { type MemoryAllocator, MemoryBar, privateMemory } from './memory-bar';
import { PlatformTable } from './platform/table';
import { Region } from './vfio-layout';

/** A BAR of registers is at least a page, so that a driver in the guest's user space can map it. */
const PAGE_BYTES = 4096;

/** What a BAR of memory is, beside its size. */
export interface MemoryBarOptions extends BarOptions {
  /** Let the client map the memory, so that guest accesses need no message; needs an allocator that provides a file. */
  readonly mappable?: boolean;
}

export class CardBars {
  readonly registers = new Bars();
  readonly registerFiles = new Map<number, RegisterFile>();
  readonly #memories = new Map<number, MemoryBar>();
  readonly #windows: BarWindow[] = [];
  #isFinal = false;
  rom: ExpansionRom | undefined;

  constructor(
    private readonly allocate: MemoryAllocator,
    /** Present when the card describes platform devices. */
    private readonly platform: PlatformTable | undefined,
  ) {
    if (platform?.declaredPlace) this.#windows.push(platform.putInto(platform.declaredPlace));
  }

  /** Reserves the places of table and pending bits; to be called before any BAR is added. */
  addMsix({ bar, tableOffset }: MsixIdentity, windows: readonly BarWindow[]): void {
    this.#windows.push(...windows);
    if (tableOffset !== undefined) return;
    if (this.platform && !this.platform.hasPlace) {
      this.#windows.push(this.platform.putInto({ bar, offset: Math.ceil(this.#endOf(bar) / PAGE_BYTES) * PAGE_BYTES }));
    }
    this.#addOwn(bar, 'MSI-X table', 'msix.tableOffset puts the table into a BAR with other contents');
  }

  addRegisters<S extends MapSpec>(index: number, map: RegisterMap<S>, options: BarOptions): RegisterFile<S> {
    if (map.sizeBytes < PAGE_BYTES && !options.io) {
      throw new CardDefinitionError(
        `BAR ${index} (registers) is ${map.sizeBytes} bytes: a driver can only map whole pages; set the map's sizeBytes ` +
          `to ${PAGE_BYTES} or more`,
      );
    }
    const file = this.#add(index, 'registers', map.sizeBytes, options, () => {
      for (const window of this.#windowsOf(index)) checkRegisters(map, window);
      return new RegisterFile(map);
    });
    this.registerFiles.set(index, file);
    return file;
  }

  addMemory(index: number, sizeBytes: number, options: MemoryBarOptions): MemoryBar {
    const { mappable = false, ...kind } = options;
    if (kind.io) throw new CardDefinitionError(`BAR ${index} (memory): an I/O BAR holds registers; use registerBar`);
    if (mappable && sizeBytes < PAGE_BYTES) {
      throw new CardDefinitionError(
        `BAR ${index} (memory) is ${sizeBytes} bytes and mappable: a client maps whole pages of ${PAGE_BYTES} bytes`,
      );
    }
    const allocate = mappable ? this.allocate : privateMemory;
    const memory = this.#add(index, 'memory', sizeBytes, { width: 64, prefetchable: true, ...kind }, () => {
      return new MemoryBar(() => allocate(sizeBytes, `ghostcard-bar${index}`), mappable);
    });
    this.#memories.set(index, memory);
    return memory;
  }

  addRom(image: Uint8Array): void {
    if (this.rom) throw new CardDefinitionError('the card has an expansion ROM already: a function has one');
    this.#checkOpen('the expansion ROM');
    this.rom = new ExpansionRom(image);
  }

  at(index: number): Bar | undefined {
    return this.registers.at(index);
  }

  /** Adds the BARs that the library needs for itself; the author has added all of the card's by then. */
  finalize(): void {
    if (this.platform && !this.platform.hasPlace) {
      const slot = this.registers.freeSlot;
      if (slot === undefined) throw PlatformTable.noPlace();
      this.#windows.push(this.platform.putInto({ bar: slot, offset: 0 }));
    }
    for (const { bar, label } of this.#windows) if (!this.at(bar)) this.#addOwn(bar, label.replace(/^the /, ''));
    this.#isFinal = true;
    this.platform?.complete((index) => this.at(index), this.#windows);
  }

  regionLayout(index: number): RegionLayout {
    if (index === Region.ROM && this.rom) return { sizeBytes: this.rom.sizeBytes, readable: true, writable: false };
    const bar = this.at(index);
    if (!bar) return { sizeBytes: 0, readable: false, writable: false };
    const present = { sizeBytes: bar.sizeBytes, readable: true, writable: true };
    const fd = this.#memories.get(index)?.fd;
    const areas = outside(bar.sizeBytes, this.#windowsOf(index), PAGE_BYTES);
    return fd === undefined || areas.length === 0 ? present : { ...present, mappable: { fd, areas } };
  }

  contents(): BarContents {
    const memory = [...this.#memories.keys()].flatMap((bar) =>
      outside(this.at(bar)!.sizeBytes, this.#windowsOf(bar)).map((range) => ({ bar, ...range })),
    );
    return {
      memory: [
        ...memory,
        ...(this.rom ? [{ bar: Region.ROM, offset: 0, sizeBytes: this.rom.sizeBytes }] : []),
        ...this.#windows.filter(({ map }) => map === undefined).map(rangeOf),
      ],
      msix: this.#windows.flatMap(({ bar, offset, map }) => (map ? [{ bar, offset, map }] : [])),
    };
  }

  /** Releases the memory. */
  close(): void {
    for (const memory of this.#memories.values()) memory.close();
  }

  #windowsOf(index: number): readonly BarWindow[] {
    return this.#windows.filter(({ bar }) => bar === index);
  }

  /** The end of the last window of a BAR. */
  #endOf(index: number): number {
    return Math.max(...this.#windowsOf(index).map(({ offset, sizeBytes }) => offset + sizeBytes));
  }

  #checkOpen(what: string): void {
    if (!this.#isFinal) return;
    throw new CardDefinitionError(
      `${what}: the card's layout has been read already; add BARs in the constructor or in fields`,
    );
  }

  /** Adds a BAR that contains windows and nothing else. */
  #addOwn(index: number, label: string, remedy?: string): void {
    const sizeBytes = Math.max(PAGE_BYTES, 2 ** Math.ceil(Math.log2(this.#endOf(index))));
    this.#add(index, label, sizeBytes, {}, () => NOTHING, remedy);
  }

  /** Adds a BAR to the card; `make` creates its target after the checks have passed. */
  #add<T extends BarTarget>(
    index: number,
    label: string,
    sizeBytes: number,
    options: BarOptions,
    make: () => T,
    remedy?: string,
  ): T {
    this.#checkOpen(`BAR ${index} (${label})`);
    const { width = 32, prefetchable = false, io = false } = options;
    const windows = this.#windowsOf(index);
    let made: T | undefined;
    this.registers.add({ index, label, sizeBytes, width, prefetchable, io, ...(remedy && { remedy }) }, () => {
      checkWindows(`BAR ${index} (${label})`, sizeBytes, windows);
      made = make();
      return windows.length === 0 ? made : new WindowedTarget(made, windows);
    });
    return made!;
  }
}

const hex = (value: number): string => `0x${value.toString(16)}`;

const rangeOf = ({ bar, offset, sizeBytes }: BarWindow) => ({ bar, offset, sizeBytes });

const describe = ({ label, offset, sizeBytes }: BarWindow): string =>
  `${label} (${hex(offset)} to ${hex(offset + sizeBytes - 1)})`;

function checkWindows(what: string, sizeBytes: number, windows: readonly BarWindow[]): void {
  for (const [index, window] of windows.entries()) {
    if (window.offset + window.sizeBytes > sizeBytes) {
      throw new CardDefinitionError(`${what} is ${hex(sizeBytes)} bytes: ${describe(window)} does not fit into it`);
    }
    const other = windows.slice(0, index).find((each) => overlap(each, window));
    if (other) throw new CardDefinitionError(`${what}: ${describe(other)} and ${describe(window)} overlap`);
  }
}

function checkRegisters({ registers }: RegisterMap, window: BarWindow): void {
  const hit = registers.find(({ offset, width }) => overlap({ offset, sizeBytes: width / 8 }, window));
  if (hit === undefined) return;
  throw new CardDefinitionError(
    `BAR ${window.bar} (registers): ${hit.path} (${hit.width} bits at ${hex(hit.offset)}) lies in ${describe(window)}: ` +
      'move one of them',
  );
}
