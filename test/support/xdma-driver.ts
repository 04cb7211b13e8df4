/** A driver for one channel of the XDMA card on the in-process host. */
import { CODECS, XDMA_DESCRIPTOR_BYTES, XDMA_MAGIC } from '../../emulator/cards/xdma/layout';
import { XDMA_REGISTERS } from '../../emulator/cards/xdma/registers';
import { type HostBuffer, type InProcessHost, type NamedRegisters } from '../../emulator/host';

export interface XdmaOrder {
  readonly hostAddress: number;
  readonly cardAddress: number;
  readonly lengthBytes: number;
  readonly endOfPacket?: boolean;
  readonly completed?: boolean;
  readonly magic?: number;
  /** Default: as computed. */
  readonly nextAdjacent?: number;
}

/** Everything but IDLE_STOPPED that can be logged, and RUN. */
export const XDMA_RUN = 0x00ff_fe3f;
export const XDMA_POLL = 1 << 26;

export class XdmaChannelDriver {
  readonly registers: NamedRegisters<typeof XDMA_REGISTERS.spec>;
  readonly descriptors: HostBuffer;
  readonly polled: HostBuffer;
  readonly #block;
  readonly #sgdma;

  constructor(
    host: InProcessHost,
    readonly direction: 'H2C' | 'C2H',
    { channel = 0, bar = 0, most = 128 } = {},
  ) {
    this.registers = host.registers(bar, XDMA_REGISTERS);
    this.descriptors = host.memory.allocate(most * XDMA_DESCRIPTOR_BYTES, 4096);
    this.polled = host.memory.allocate(4, 64);
    this.#block = `${direction}[${channel}]` as 'H2C[0]';
    this.#sgdma = `${direction}_SGDMA[${channel}]` as 'H2C_SGDMA[0]';
    this.registers.write(`${this.#block}.POLL_MODE_LOW_WB_ADDRESS`, this.polled.iova);
    this.registers.write(`${this.#block}.INTERRUPT_ENABLE`, XDMA_RUN & ~1);
  }

  /** Writes a chain; the last one stops, and is completed. Blocks of adjacent ones have `block` descriptors at most. */
  chain(orders: readonly XdmaOrder[], { block = 32, at = 0 } = {}): void {
    const direction = this.direction === 'H2C' ? 'h2c' : 'c2h';
    const follow = (index: number) => Math.max(0, Math.min(block - (index % block), orders.length - index) - 1);
    orders.forEach((order, index) => {
      const isLast = index === orders.length - 1;
      const place = at + index * XDMA_DESCRIPTOR_BYTES;
      const next = this.descriptors.iova + place + XDMA_DESCRIPTOR_BYTES;
      const links = isLast ? { stop: true, completed: true } : { next, nextAdjacent: follow(index + 1) };
      this.descriptors.bytes.set(CODECS[direction].encode({ magic: XDMA_MAGIC, ...links, ...order }), place);
    });
    this.registers.write(`${this.#sgdma}.DESCRIPTOR_LOW_ADDRESS`, this.descriptors.iova + at);
    this.registers.write(`${this.#sgdma}.DESCRIPTOR_ADJACENT`, follow(0));
  }

  run(control = XDMA_RUN): void {
    this.registers.write(`${this.#block}.CONTROL`, control);
  }

  stop(): void {
    this.registers.write(`${this.#block}.CONTROL_W1C`, 1);
  }

  credit(count: number): void {
    this.registers.write(`${this.#sgdma}.DESCRIPTOR_CREDITS`, count);
  }

  get credits(): number {
    return this.registers.read(`${this.#sgdma}.DESCRIPTOR_CREDITS`);
  }

  get status(): number {
    return this.registers.read(`${this.#block}.STATUS`);
  }

  /** Clears it. */
  takeStatus(): number {
    return this.registers.read(`${this.#block}.STATUS_RC`);
  }

  get completed(): number {
    return this.registers.read(`${this.#block}.COMPLETED_COUNT`);
  }

  get polledCount(): number {
    return this.polled.view.getUint32(0, true);
  }
}
