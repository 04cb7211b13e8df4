/** A driver for a channel of AXI DMA on the in-process host, for tests: a ring of descriptors, linked in order. */
import { AXI_DMA_DESCRIPTOR_BYTES, AXI_DMA_DESCRIPTOR_CODEC, AXI_DMA_REGISTERS } from '../../emulator/cards/axi-dma';
import { type HostBuffer, type InProcessHost, type NamedRegisters } from '../../emulator/host';

type ChannelRegister = keyof (typeof AXI_DMA_REGISTERS.spec)['MM2S']['registers'];
export type AxiSubmission = Parameters<typeof AXI_DMA_DESCRIPTOR_CODEC.encode>[0];

/** DMACR: run, all interrupts, threshold 1. */
export const RUN = 0x0001_7001;

export class AxiDmaDriver {
  readonly registers: NamedRegisters<typeof AXI_DMA_REGISTERS.spec>;
  readonly ring: HostBuffer;
  /** Of the next descriptor. */
  index = 0;

  constructor(
    host: InProcessHost,
    readonly channel: 'MM2S' | 'S2MM',
    readonly ringSize = 8,
  ) {
    this.registers = host.registers(0, AXI_DMA_REGISTERS);
    this.ring = host.memory.allocate(ringSize * AXI_DMA_DESCRIPTOR_BYTES, 4096);
  }

  /** Begins at the next descriptor. */
  start(control = RUN): void {
    this.setPointer('CURDESC', this.addressOf(this.index));
    this.write('DMACR', control);
  }

  addressOf(index: number): number {
    return this.ring.iova + (index % this.ringSize) * AXI_DMA_DESCRIPTOR_BYTES;
  }

  /** Writes descriptors, and the tail: the last of them. */
  submit(...submissions: AxiSubmission[]): void {
    this.prepare(...submissions);
    this.setPointer('TAILDESC', this.addressOf(this.index + this.ringSize - 1));
  }

  prepare(...submissions: AxiSubmission[]): void {
    for (const submission of submissions) {
      const bytes = AXI_DMA_DESCRIPTOR_CODEC.encode({ next: this.addressOf(this.index + 1), ...submission });
      this.ring.bytes.set(bytes, this.addressOf(this.index) - this.ring.iova);
      this.index = (this.index + 1) % this.ringSize;
    }
  }

  /** The lower half first, as Linux' driver and AMD's. */
  setPointer(name: 'CURDESC' | 'TAILDESC' | 'ADDRESS', address: number): void {
    this.write(name, address % 2 ** 32);
    this.write(`${name}_MSB`, Math.floor(address / 2 ** 32));
  }

  /** STATUS of a descriptor. */
  statusOf(index: number): number {
    return this.ring.view.getUint32(this.addressOf(index) - this.ring.iova + 0x1c, true);
  }

  read(name: ChannelRegister): number {
    return this.registers.read(`${this.channel}[0].${name}`);
  }

  write(name: ChannelRegister, value: number): void {
    this.registers.write(`${this.channel}[0].${name}`, value);
  }
}
