/**
 * AMD's DMA/Bridge Subsystem for PCI Express (XDMA) as the whole of a card, with a design of the author's behind it.
 *
 *   BAR of the user design   registers or memory of the author's: `user` (PCIe to AXI-Lite Master)
 *   BAR of 64 KiB            registers of the core, MSI-X table and pending bits (registers.ts)
 *   bypass BAR               registers or memory of the author's: `bypass` (PCIe to DMA Bypass)
 *
 * in this order, those that are left out not counted. 1 to 4 channels in each direction (channel.ts), memory-mapped into
 * memory of the card, or streams.
 *
 * Models: AMD PG195, version 4.1. docs/real-devices.md says what is left out.
 */
import {
  CardMemoryEndpoint,
  type DataSink,
  type DataSource,
  type Endpoint,
  Link,
  type LinkModel,
  narrowPort,
  StreamFifo,
  unlimitedLink,
} from '../../dma';
import { CardDefinitionError, type CardEnvironment, type InterruptBlock, type MemoryBar, PciCard } from '../../pci';
import { type MapSpec, type RegisterFile, type RegisterMap, type ResetKind } from '../../registers';
import { checkWhole } from '../options';
import { XdmaChannel } from './channel';
import { channelDeclaration, type Direction } from './layout';
import {
  identifier,
  MAX_CHANNELS,
  MAX_USER_INTERRUPTS,
  MSIX_PBA_OFFSET,
  MSIX_TABLE_OFFSET,
  MSIX_VECTORS,
  xdmaRegisters,
} from './registers';

export interface XdmaCardOptions<U extends MapSpec = MapSpec, B extends MapSpec = MapSpec> extends CardEnvironment {
  /** 1 to 4 each. Default 1. */
  readonly h2cChannels?: number;
  readonly c2hChannels?: number;
  /** Lines by which the user design interrupts, 1 to 16. Default 16. */
  readonly userInterrupts?: number;
  /** AXI4-Stream interfaces in place of memory-mapped ones. Default: what H2C channel n sends, C2H channel n receives. */
  readonly streaming?: boolean;
  /** What the BAR of the user design shows: registers, or so many bytes of memory, a power of two. Default: no such BAR. */
  readonly user?: RegisterMap<U> | number;
  /** What the bypass BAR shows: registers, or with `true` the memory that the channels move. Default: no such BAR. */
  readonly bypass?: RegisterMap<B> | boolean;
  /** Of the card's memory, a power of two. Default 16 MiB. Not with `sink` or `source`. */
  readonly memoryBytes?: number;
  /** Where the bytes of an H2C channel go, in place of memory or stream of the card's own. */
  readonly sink?: (channel: number) => DataSink;
  /** Where the bytes of a C2H channel come from. */
  readonly source?: (channel: number) => DataSource;
  /** Width of all BARs: 32 bits in BARs 0, 1, 2, or 64 in BARs 0, 2, 4. Default 32. */
  readonly barBits?: number;
  readonly deviceId?: number;
  /** Default true. */
  readonly intx?: boolean;
  /** 1, 2, 4 … 32, or 0 for none. Default 1, as the core is configured unless one asks for more. */
  readonly msiVectors?: number;
  /** 32 vectors of MSI-X. Default true. */
  readonly msix?: boolean;
  /** Bytes to which source and destination of a descriptor must be aligned alike, a power of two up to 64. Default 1. */
  readonly alignment?: number;
  /** Address lines that the engines really have, 12 to 64: bits above are dropped without a word. Default 64. */
  readonly wrapsAtBits?: number;
  /** Width of the length counter, 1 to 28: a longer descriptor moves what its low bits say. Default 28. */
  readonly lengthBits?: number;
  /** What the PCIe link costs in device time. Default: nothing. */
  readonly link?: Partial<LinkModel>;
}

const STREAM_DEPTH_BYTES = 1 << 20;
/** CONFIG.MSI_ENABLE by the mode of interrupts. */
const MSI_ENABLE = { none: 0, intx: 0, msi: 1, msix: 2 } as const;

export class XdmaCard<U extends MapSpec = MapSpec, B extends MapSpec = MapSpec> extends PciCard {
  readonly registers: RegisterFile<ReturnType<typeof xdmaRegisters>['spec']>;
  readonly #user: RegisterFile<U> | MemoryBar | undefined;
  readonly #bypass: RegisterFile<B> | MemoryBar | undefined;
  readonly #memory: { readonly bytes: Uint8Array };
  readonly #streams: readonly StreamFifo[];
  readonly #channels: readonly XdmaChannel[];
  readonly #userInterrupts: InterruptBlock<string>;
  readonly #link: Link;
  readonly #isStream: boolean;
  readonly #alignment: number;

  constructor(options: XdmaCardOptions<U, B> = {}) {
    checkOptions(options);
    const { h2cChannels = 1, c2hChannels = 1, userInterrupts = MAX_USER_INTERRUPTS } = options;
    const {
      streaming = false,
      user,
      bypass = false,
      memoryBytes = 16 << 20,
      barBits = 32,
      deviceId = 0x9038,
    } = options;
    const { intx = true, msiVectors = 1, msix = true, alignment = 1, link = {} } = options;
    const step = barBits / 32;
    const bar = user === undefined ? 0 : step;
    super(
      {
        vendorId: 0x10ee,
        deviceId,
        classCode: 0x05_80_00,
        subsystemId: 7,
        capabilityOffsets: { PM: 0x40, MSI: 0x48, MSIX: 0x60, PCIE: 0x70 },
        ...(intx && { intx: 'A' as const }),
        ...(msiVectors > 0 && { msi: { vectors: msiVectors } }),
        ...(msix && {
          msix: { bar, vectors: MSIX_VECTORS, tableOffset: MSIX_TABLE_OFFSET, pbaOffset: MSIX_PBA_OFFSET },
        }),
      },
      options,
    );
    const kind = { width: barBits as 32 | 64, prefetchable: false };
    if (typeof user === 'number') this.#user = this.memoryBar(0, user, kind);
    else if (user) this.#user = this.registerBar(0, user, kind);
    const map = xdmaRegisters({ h2cChannels, c2hChannels, userInterrupts });
    this.registers = this.registerBar(bar, map, kind);
    if (bypass === true) this.#bypass = this.memoryBar(bar + step, memoryBytes, kind);
    else if (bypass) this.#bypass = this.registerBar(bar + step, bypass, kind);
    this.#memory = bypass === true ? (this.#bypass as MemoryBar) : lazily(memoryBytes);

    this.#isStream = streaming;
    this.#alignment = alignment;
    this.#link = new Link(this.clock, { ...unlimitedLink, ...link });
    const count = Math.max(h2cChannels, c2hChannels);
    this.#streams = Array.from({ length: streaming ? count : 0 }, () => new StreamFifo(STREAM_DEPTH_BYTES));
    const memory = new CardMemoryEndpoint(this.#memory, memoryBytes);
    const { sink = (n) => this.#streams[n] ?? memory, source = (n) => this.#streams[n] ?? memory } = options;

    const irq = this.registers.block('IRQ', 0);
    const vector = (whose: 'USER' | 'CHANNEL') => (n: number) =>
      `${whose}_VECTORS_${Math.floor(n / 4)}.VECTOR${n % 4}` as 'USER_VECTORS_0.VECTOR0';
    const follow = { trigger: 'nonsticky' } as const;
    this.#userInterrupts = this.interruptBlock(irq, {
      ...{ status: 'USER_PENDING', enable: 'USER_ENABLE', pending: 'USER_REQUEST', vectors: vector('USER'), ...follow },
    });
    const interrupts: InterruptBlock<string> = this.interruptBlock(irq, {
      ...{ status: 'CHANNEL_PENDING', enable: 'CHANNEL_ENABLE', pending: 'CHANNEL_REQUEST', ...follow },
      vectors: vector('CHANNEL'),
    });
    const channel = (direction: Direction, n: number, number: number, endpoint: Endpoint) =>
      this.#channel(direction, n, endpoint, options, (level) => interrupts.set(number, level));
    this.#channels = [
      ...Array.from({ length: h2cChannels }, (_, n) => channel('h2c', n, n, { h2c: () => sink(n) })),
      ...Array.from({ length: c2hChannels }, (_, n) => channel('c2h', n, h2cChannels + n, { c2h: () => source(n) })),
    ];
    this.registers.onRead('CONFIG[0].MSI_ENABLE', () => MSI_ENABLE[this.interrupts.mode]);
    this.#showOptions();
  }

  /** The registers of `user`. */
  get user(): RegisterFile<U> {
    return registersOf(this.#user, 'user');
  }

  /** The registers of `bypass`. */
  get bypass(): RegisterFile<B> {
    return registersOf(this.#bypass, 'bypass');
  }

  /** The memory of `user`, if that is a number of bytes. */
  get userMemory(): Uint8Array {
    if (this.#user && 'bytes' in this.#user) return this.#user.bytes;
    throw new CardDefinitionError('the card has no memory behind its user BAR: give it some, as in user: 65536');
  }

  /** The memory that memory-mapped channels move. */
  get memory(): Uint8Array {
    return this.#memory.bytes;
  }

  /** Drives line `line` of usr_irq_req. It interrupts when it rises, and stays pending until it is 0. */
  setUserInterrupt(line: number, level: boolean): void {
    this.#userInterrupts.set(line, level);
  }

  /** A design of the author's overrides it, and calls this one. */
  protected override onReset(_kind: ResetKind): void {
    this.#showOptions();
    this.#link.reset();
    for (const stream of this.#streams) stream.clear();
    for (const channel of this.#channels) channel.reset();
  }

  #channel(
    direction: Direction,
    number: number,
    endpoint: Endpoint,
    { wrapsAtBits, lengthBits }: XdmaCardOptions<U, B>,
    interrupt: (level: boolean) => void,
  ): XdmaChannel {
    const kind = direction === 'h2c' ? 'H2C' : 'C2H';
    const name = `${kind}${number}`;
    const isStream = this.#isStream;
    const port = this.dmaChannel(name, channelDeclaration(`${kind}[${number}]`, isStream && direction === 'c2h'));
    return new XdmaChannel({
      ...{ direction, isStream, endpoint, lengthBits, interrupt, clock: this.clock, link: this.#link },
      registers: this.registers.block(kind, number),
      sgdma: this.registers.block(`${kind}_SGDMA`, number),
      common: this.registers.block('SGDMA', 0),
      commonBit: direction === 'h2c' ? number : 16 + number,
      port: (role) => narrowPort(port(role), wrapsAtBits),
      alignment: this.#alignment,
      onState: (state) => this.changed(name, state),
    });
  }

  /** What registers show of the options; resets give them the values of the map. */
  #showOptions(): void {
    for (const [kind, target] of [
      ['H2C', 0],
      ['C2H', 1],
    ] as const) {
      const { count } = this.registers.map.blocks.find(({ name }) => name === kind)!;
      for (let n = 0; n < count; n++) {
        this.registers.set(`${kind}[${n}].IDENTIFIER`, identifier(target, n, this.#isStream));
        this.registers.set(`${kind}_SGDMA[${n}].IDENTIFIER`, identifier(target + 4, n, this.#isStream));
        this.registers.set(`${kind}[${n}].ALIGNMENTS.ADDR_ALIGNMENT`, this.#alignment);
      }
    }
  }
}

function checkOptions(options: XdmaCardOptions<MapSpec, MapSpec>): void {
  const { barBits = 32, alignment = 1, msiVectors = 0 } = options;
  checkWhole('h2cChannels', options.h2cChannels, 1, MAX_CHANNELS);
  checkWhole('c2hChannels', options.c2hChannels, 1, MAX_CHANNELS);
  checkWhole('userInterrupts', options.userInterrupts, 1, MAX_USER_INTERRUPTS);
  checkWhole('wrapsAtBits', options.wrapsAtBits, 12, 64);
  checkWhole('lengthBits', options.lengthBits, 1, 28);
  if (barBits !== 32 && barBits !== 64) throw new CardDefinitionError(`barBits is ${barBits}: the card takes 32 or 64`);
  checkPower('alignment', alignment, 1, 64);
  if (msiVectors !== 0) checkPower('msiVectors', msiVectors, 1, 32);
  if (options.memoryBytes !== undefined) checkPower('memoryBytes', options.memoryBytes, 4096, 2 ** 31);
  if (typeof options.user === 'number') checkPower('user', options.user, 4096, 2 ** 31);
  checkWindow('user', options.user, 'bytes of memory, or a register map');
  checkWindow('bypass', options.bypass, 'on, off, or a register map');
}

function checkPower(option: string, value: number, least: number, most: number): void {
  if (Number.isInteger(Math.log2(value)) && value >= least && value <= most) return;
  throw new CardDefinitionError(`${option} is ${value}: the card takes powers of two from ${least} to ${most}`);
}

/** The command line has numbers, booleans and strings. */
function checkWindow(option: 'user' | 'bypass', value: unknown, takes: string): void {
  const isPlain = typeof value === (option === 'user' ? 'number' : 'boolean');
  if (value === undefined || isPlain || typeof value === 'object') return;
  throw new CardDefinitionError(`${option} is ${String(value)}: the card takes ${takes}`);
}

const lazily = (sizeBytes: number): { readonly bytes: Uint8Array } => {
  let made: Uint8Array | undefined;
  return {
    get bytes() {
      return (made ??= new Uint8Array(sizeBytes));
    },
  };
};

function registersOf<S extends MapSpec>(target: RegisterFile<S> | MemoryBar | undefined, option: string) {
  if (target && 'map' in target) return target;
  throw new CardDefinitionError(
    `the card has no registers behind its ${option} BAR: give it a map, as in ${option}: MAP`,
  );
}

export default XdmaCard;
