/** A driver for one channel of the reference card on the in-process host: what guest-tools does in C, for tests. */
import {
  type Descriptor,
  DESCRIPTOR_BYTES,
  encodeDescriptor,
  REFERENCE_REGISTERS,
  WRITEBACK_BYTES,
} from '../../emulator/cards/reference';
import { type HostBuffer, type InProcessHost, type NamedRegisters } from '../../emulator/host';

export type Direction = 'H2C' | 'C2H';
export type Submission = Partial<Descriptor> & Pick<Descriptor, 'hostAddress' | 'lengthBytes'>;

export class ChannelDriver {
  readonly registers: NamedRegisters<typeof REFERENCE_REGISTERS.spec>;
  readonly ring: HostBuffer;
  readonly writeback: HostBuffer;
  producer = 0;

  constructor(
    host: InProcessHost,
    readonly direction: Direction,
    readonly channel = 0,
    readonly ringSize = 16,
  ) {
    this.registers = host.registers(0, REFERENCE_REGISTERS);
    this.ring = host.memory.allocate(ringSize * DESCRIPTOR_BYTES, DESCRIPTOR_BYTES);
    this.writeback = host.memory.allocate(WRITEBACK_BYTES, WRITEBACK_BYTES);
    this.setUp();
  }

  get #block(): `H2C[${number}]` | `C2H[${number}]` {
    return `${this.direction}[${this.channel}]`;
  }

  setUp(): void {
    this.producer = 0;
    this.registers.write(`${this.#block}.RING_BASE`, BigInt(this.ring.iova));
    this.registers.write(`${this.#block}.RING_SIZE`, this.ringSize);
    this.registers.write(`${this.#block}.WRITEBACK_ADDRESS`, BigInt(this.writeback.iova));
    this.registers.write(`${this.#block}.CONTROL`, 1);
  }

  /** Writes descriptors after the producer index, without ringing the doorbell. */
  prepare(...submissions: Submission[]): void {
    for (const submission of submissions) {
      const descriptor = { owner: true, interrupt: false, endOfPacket: false, cardAddress: 0, ...submission };
      this.ring.bytes.set(encodeDescriptor(descriptor), this.producer * DESCRIPTOR_BYTES);
      this.producer = (this.producer + 1) % this.ringSize;
    }
  }

  ring32(index: number, word: number): number {
    return this.ring.view.getUint32(index * DESCRIPTOR_BYTES + word, true);
  }

  doorbell(): void {
    this.registers.write(`${this.#block}.DOORBELL`, this.producer);
  }

  submit(...submissions: Submission[]): void {
    this.prepare(...submissions);
    this.doorbell();
  }

  /** STATUS and what goes with it, read from the registers. */
  get state() {
    const status = this.registers.read(`${this.#block}.STATUS`);
    return {
      busy: (status & 1) !== 0,
      halted: (status & 2) !== 0,
      error: (status & 4) !== 0,
      errorCode: (status >>> 8) & 0xf,
      errorIndex: this.registers.read(`${this.#block}.ERROR_INDEX`),
      errorAddress: this.registers.read(`${this.#block}.ERROR_ADDRESS`),
      consumer: this.registers.read(`${this.#block}.CONSUMER_INDEX`),
      completed: this.registers.read(`${this.#block}.COMPLETED`),
      bytes: this.registers.read(`${this.#block}.BYTES`),
    };
  }

  clearError(): void {
    this.registers.write(`${this.#block}.STATUS`, 4);
  }

  write(register: 'CONTROL' | 'MODERATION' | 'RING_SIZE', value: number): void {
    this.registers.write(`${this.#block}.${register}`, value);
  }
}
