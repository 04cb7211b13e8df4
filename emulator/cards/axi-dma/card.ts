/**
 * AMD's AXI DMA as a memory-mapped device: memory to stream and stream to memory, and what the author connects to the
 * streams; without that, the one is connected to the other.
 *
 *   BAR0  64 KiB  registers (registers.ts), the window of the platform device
 *
 * Models: AMD PG021 (AXI DMA v7.1).
 */
import {
  type DataSink,
  type DataSource,
  Link,
  type LinkModel,
  narrowPort,
  StreamFifo,
  SyncUnit,
  unlimitedLink,
} from '../../dma';
import { type CardEnvironment, PciCard, platformDevice } from '../../pci';
import { fieldOf } from '../../registers';
import { checkWhole } from '../options';
import { AxiDmaChannel } from './channel';
import { AXI_DMA_CHANNEL, AXI_DMA_DESCRIPTOR, AXI_DMA_DESCRIPTOR_BYTES, AXI_DMA_REGISTERS } from './registers';

/** What is connected to the streams. */
export interface AxiStreams {
  /** Takes what MM2S sends. */
  readonly sink: DataSink;
  /** Has what S2MM receives; the end of a packet is TLAST. */
  readonly source: DataSource;
  /** Both channels have been reset. */
  readonly reset?: () => void;
}

export interface AxiDmaCardOptions extends CardEnvironment {
  /** Off: built without scatter-gather, so that registers say what is to be moved. Default on. */
  readonly scatterGather?: boolean;
  /** Width of the length register, 8 to 26: of a longer buffer, what its low bits say is moved. Default 26; Vivado's 14. */
  readonly lengthBits?: number;
  /** Width of addresses, 32 to 64; with 32 the upper halves have no effect. Default 64. */
  readonly addressBits?: number;
  /** Address lines that there really are, 12 to 64: bits above are dropped without a word. Default `addressBits`. */
  readonly wrapsAtBits?: number;
  /** Off: the core sees memory as its driver has last synchronised it (docs/coherence.md). Default on. */
  readonly coherent?: boolean;
  /** What each of the kernel's two buffers for uio_dmem_genirq has, in bytes, a multiple of 4096. Default 1 MiB. */
  readonly bufferBytes?: number;
  /** Clock in MHz, 1 to 1000, of which DMACR.IRQ_DELAY counts 125 cycles. Default 100. */
  readonly clockMhz?: number;
  /** Bandwidth of memory in each direction, and how late each descriptor is complete. Default: takes no time. */
  readonly link?: Partial<LinkModel>;
  /** Default: what MM2S sends, S2MM receives, with 64 KiB in between. */
  readonly stream?: AxiStreams;
}

const LOOPBACK_BYTES = 64 << 10;
const RESET = fieldOf(AXI_DMA_CHANNEL, 'DMACR.RESET').mask;

export class AxiDmaCard extends PciCard {
  readonly registers = this.registerBar(0, AXI_DMA_REGISTERS);
  readonly #sync = new SyncUnit(this.registers.block('SYNC', 0), this.coherence);
  readonly #link: Link;
  readonly #stream: AxiStreams;
  readonly #channels: readonly AxiDmaChannel[];

  constructor(options: AxiDmaCardOptions = {}) {
    const { scatterGather = true, addressBits = 64, lengthBits = 26, stream = loopback() } = options;
    const { bufferBytes = 1 << 20, clockMhz = 100 } = options;
    checkWhole('addressBits', addressBits, 32, 64);
    checkWhole('lengthBits', lengthBits, 8, 26);
    checkWhole('wrapsAtBits', options.wrapsAtBits, 12, 64);
    checkWhole('clockMhz', clockMhz, 1, 1000);
    super(
      {
        ...{ vendorId: 0x1234, deviceId: 0x4746, classCode: 0x08_01_00, intx: 'A' },
        coherent: options.coherent ?? true,
        platformDevices: [platformDeviceOf(addressBits, bufferBytes)],
      },
      options,
    );
    this.#stream = stream;
    this.#link = new Link(this.clock, { ...unlimitedLink, ...options.link });
    const doorbell = !scatterGather ? 'LENGTH' : addressBits > 32 ? 'TAILDESC_MSB' : 'TAILDESC';
    this.#channels = (['MM2S', 'S2MM'] as const).map((name) => {
      const port = this.dmaChannel(name, {
        doorbells: [`${name}[0].${doorbell}`],
        layouts: { descriptor: { fields: AXI_DMA_DESCRIPTOR, strideBytes: AXI_DMA_DESCRIPTOR_BYTES } },
      });
      return new AxiDmaChannel({
        ...{ clock: this.clock, link: this.#link, addressBits, lengthBits, delayUnitNs: 125_000 / clockMhz },
        scatterGather,
        registers: this.registers.block(name, 0),
        port: (role) => narrowPort(port(role), options.wrapsAtBits),
        endpoint: name === 'MM2S' ? { h2c: () => stream.sink } : { c2h: () => stream.source },
        onState: (state) => this.changed(name, state),
        onReset: () => this.#softReset(),
        drive: () => this.interrupts.setIntx(this.#channels.some(({ interrupts }) => interrupts.isAsserted)),
      });
    });
    for (const channel of this.#channels) channel.reset();
  }

  /** Registers are at their reset values when this is called. */
  protected override onReset(): void {
    this.#sync.reset();
    this.#resetCore();
  }

  /** Memory stays as the driver has synchronised it. */
  #softReset(): void {
    this.registers.reset();
    this.onReset();
    this.interrupts.setIntx(false);
  }

  #resetCore(): void {
    this.#link.reset();
    for (const channel of this.#channels) channel.reset();
    this.#stream.reset?.();
  }
}

function loopback(): AxiStreams {
  const fifo = new StreamFifo(LOOPBACK_BYTES);
  return { sink: fifo, source: fifo, reset: () => fifo.clear() };
}

/** The core on a board, with both interrupts on one line. */
const platformDeviceOf = (dmaMaskBits: number, bufferBytes: number) =>
  platformDevice({
    ...{ name: 'axi-dma', compatible: 'xlnx,axi-dma-1.00.a', windows: { registers: { bar: 0 } }, dmaMaskBits },
    interrupt: 'intx',
    dmaBuffers: { ring: 64 << 10, transmit: bufferBytes, receive: bufferBytes },
    reset: { window: 'registers', offset: 0, value: RESET, busyMask: RESET },
  });

export default AxiDmaCard;
