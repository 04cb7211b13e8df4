/**
 * The reference card: a realistic FPGA accelerator, and the example to copy for a card of your own.
 *
 *   BAR0  16 KiB  registers (registers.ts)
 *   BAR2  16 MiB  card memory
 *   BAR4          MSI-X table and pending bits, table of platform devices
 *
 * Two pairs of DMA channels (channel.ts), with a processing function between H2C and C2H of each (processing.ts).
 */
import { type Endpoint, Link, type LinkModel, narrowPort, SyncUnit, unlimitedLink } from '../../dma';
import { type CardEnvironment, type MemoryBar, PciCard, platformDevice } from '../../pci';
import { checkWhole } from '../options';
import { DmaChannel } from './channel';
import { channelDeclaration } from './layout';
import { Crc32cFunction, LoopbackFunction, MemoryFunction, type ProcessingFunction } from './processing';
import {
  CHANNEL_PAIRS,
  IRQ_SOURCES,
  MAX_LENGTH_BYTES,
  MEMORY_BYTES,
  PROCESSING,
  REFERENCE_REGISTERS,
  VECTORS,
} from './registers';

export interface ReferenceCardOptions extends CardEnvironment {
  /** Width of the host addresses that the DMA engines drive, 24 to 64. Default 64; small boards have 32 or fewer. */
  readonly addressBits?: number;
  /**
   * Address lines that the engines really have, 12 to 64: bits above are dropped without a word, although `addressBits`
   * promises more. Default: as many as `addressBits`.
   */
  readonly wrapsAtBits?: number;
  /** Width of the length counter, 1 to 32: a longer descriptor moves what its low bits say. Default: wide enough. */
  readonly lengthBits?: number;
  /**
   * False: the card sees memory as its driver has last synchronised it (docs/coherence.md). Default true.
   */
  readonly coherent?: boolean;
  /**
   * Offer card memory (BAR2) to the guest as shared memory. Reads and writes of it then cost no exit, but QEMU waits for
   * every register write of the card (see docs/reference-card.md for the measurement behind the default, false).
   */
  readonly mapMemory?: boolean;
  /** What the PCIe link costs in device time. Default: nothing. */
  readonly link?: Partial<LinkModel>;
}

export class ReferenceCard extends PciCard {
  readonly registers = this.registerBar(0, REFERENCE_REGISTERS);
  readonly #sources = this.interruptBlock(this.registers, {
    status: 'IRQ_STATUS',
    enable: 'IRQ_ENABLE',
    force: 'IRQ_TRIGGER',
    count: 'IRQ_COUNT',
    messages: 'raise',
  });
  readonly #channels: DmaChannel[] = [];
  /** By pair, then by PROCESSING.SELECT. */
  readonly #processing: Record<number, ProcessingFunction>[] = [];
  readonly #addressBits: number;
  readonly #link: Link;
  readonly #memory: MemoryBar;
  readonly #sync = new SyncUnit(this.registers.block('SYNC', 0), this.coherence);

  constructor(options: ReferenceCardOptions = {}) {
    const { addressBits = 64, mapMemory = false, link = {} } = options;
    checkWhole('addressBits', addressBits, 24, 64);
    checkWhole('wrapsAtBits', options.wrapsAtBits, 12, 64);
    checkWhole('lengthBits', options.lengthBits, 1, 32);
    super(
      {
        vendorId: 0x1234,
        deviceId: 0x4743,
        classCode: 0x12_00_00,
        revision: 1,
        intx: 'A',
        msi: { vectors: VECTORS },
        msix: { bar: 4, vectors: VECTORS },
        coherent: options.coherent ?? true,
        platformDevices: [platformDeviceOf(addressBits)],
      },
      options,
    );
    this.#addressBits = addressBits;
    this.#memory = this.memoryBar(2, MEMORY_BYTES, { width: 64, prefetchable: true, mappable: mapMemory });

    this.#link = new Link(this.clock, { ...unlimitedLink, ...link });
    for (let pair = 0; pair < CHANNEL_PAIRS; pair++) {
      this.#processing.push({
        [PROCESSING.MEMORY]: new MemoryFunction(this.#memory, MEMORY_BYTES),
        [PROCESSING.LOOPBACK]: new LoopbackFunction(),
        [PROCESSING.CRC32C]: new Crc32cFunction(),
      });
      this.registers.onWrite(`PAIR[${pair}].PROCESSING`, () => this.#resetProcessing(pair));
      this.#channels.push(
        this.#channel('H2C', pair, { h2c: () => this.#functionOf(pair).sink }, options),
        this.#channel('C2H', pair, { c2h: () => this.#functionOf(pair).source }, options),
      );
    }
    this.registers.onRead('UPTIME_NS', () => BigInt(Math.round(this.clock.now())));
    this.registers.onWrite('CONTROL', () => {
      if (this.registers.get('CONTROL.SOFT_RESET')) this.#softReset();
    });
    this.#showOptions();
  }

  /** Card memory, 16 MiB: what BAR2 shows and processing function MEMORY moves. */
  get memory(): Uint8Array {
    return this.#memory.bytes;
  }

  /** Registers are at their reset values when this is called; card memory keeps its contents, as DRAM does. */
  protected override onReset(): void {
    this.#showOptions();
    this.#sync.reset();
    this.#link.reset();
    for (const channel of this.#channels) channel.reset();
    for (let pair = 0; pair < CHANNEL_PAIRS; pair++) this.#resetProcessing(pair);
    this.#sources.reset();
  }

  /** The channel that traces, faults and interrupt sources call `H2C0` and so on. */
  #channel(direction: 'H2C' | 'C2H', pair: number, endpoint: Endpoint, options: ReferenceCardOptions): DmaChannel {
    const name = `${direction}${pair}`;
    const port = this.dmaChannel(name, channelDeclaration(`${direction}[${pair}]`));
    return new DmaChannel({
      clock: this.clock,
      link: this.#link,
      addressBits: this.#addressBits,
      maxLengthBytes: MAX_LENGTH_BYTES,
      lengthBits: options.lengthBits,
      registers: this.registers.block(direction, pair),
      port: (role) => narrowPort(port(role), options.wrapsAtBits),
      endpoint,
      onState: (state) => this.changed(name, state),
      interrupt: () => this.#sources.raise(IRQ_SOURCES[`${direction}0`] + pair),
    });
  }

  #showOptions(): void {
    this.registers.set('CAPABILITIES.ADDRESS_BITS', this.#addressBits);
    this.registers.set('CAPABILITIES.NON_COHERENT', this.coherence ? 1 : 0);
  }

  #softReset(): void {
    this.registers.reset();
    this.coherence?.clear();
    this.onReset();
  }

  #resetProcessing(pair: number): void {
    for (const each of Object.values(this.#processing[pair]!)) each.reset();
  }

  /** What the pair's PROCESSING register selects; numbers without a processing function behave as MEMORY. */
  #functionOf(pair: number): ProcessingFunction {
    const functions = this.#processing[pair]!;
    return functions[this.registers.get(`PAIR[${pair}].PROCESSING.SELECT`)] ?? functions[PROCESSING.MEMORY]!;
  }
}

/** The whole card as one memory-mapped device, which is what it would be on a board without PCI. */
const platformDeviceOf = (addressBits: number) =>
  platformDevice({
    name: 'ghostcard-ref',
    compatible: 'ghostcard,reference-1.0',
    windows: { registers: { bar: 0 }, memory: { bar: 2 } },
    interrupt: 'intx',
    dmaMaskBits: addressBits,
    dmaBuffers: { ring: 64 << 10, data: 4 << 20 },
    reset: {
      window: 'registers',
      offset: REFERENCE_REGISTERS.spec.CONTROL.offset,
      value: 1 << REFERENCE_REGISTERS.spec.CONTROL.fields.SOFT_RESET.bits[0],
    },
  });

export default ReferenceCard;
