/** A driver for one channel of the I/OAT card on the in-process host, for tests: a ring of descriptors, linked in order. */
import { CHANNEL_STATES, IOAT_DESCRIPTOR_CODEC, IOAT_OPERATIONS, ioatRegisters } from '../../emulator/cards/ioat';
import { type HostBuffer, type InProcessHost, type NamedRegisters } from '../../emulator/host';

const DESCRIPTOR_BYTES = IOAT_DESCRIPTOR_CODEC.sizeBytes;
const REGISTERS = ioatRegisters(16);

export type IoatSubmission = Parameters<typeof IOAT_DESCRIPTOR_CODEC.encode>[0];

export const fill = (pattern: bigint, destination: number, sizeBytes: number): IoatSubmission => ({
  ...{ operation: IOAT_OPERATIONS.FILL, source: pattern, destination, sizeBytes },
});

export class IoatDriver {
  readonly registers: NamedRegisters<typeof REGISTERS.spec>;
  readonly ring: HostBuffer;
  readonly completion: HostBuffer;
  /** Of the next descriptor. */
  #index = 0;
  /** Since the chain was started. */
  #count = 0;

  constructor(
    host: InProcessHost,
    readonly channel = 0,
    readonly ringSize = 16,
  ) {
    this.registers = host.registers(0, REGISTERS);
    this.ring = host.memory.allocate(ringSize * DESCRIPTOR_BYTES);
    this.completion = host.memory.allocate(8);
    this.write('CHANCMD', 0x20);
    this.write('CHANCTRL', 0x1d);
    this.startChain();
  }

  /** A new chain from the next descriptor on. */
  startChain(): void {
    this.write('CHANCMP', BigInt(this.completion.iova));
    this.write('CHAINADDR', BigInt(this.addressOf(this.#index)));
    this.#count = 0;
  }

  addressOf(index: number): number {
    return this.ring.iova + (index % this.ringSize) * DESCRIPTOR_BYTES;
  }

  /** Writes descriptors, without ringing the doorbell. A completion is reported unless they say otherwise. */
  prepare(...submissions: IoatSubmission[]): void {
    for (const submission of submissions) {
      const next = this.addressOf(this.#index + 1);
      const bytes = IOAT_DESCRIPTOR_CODEC.encode({ reportsCompletion: 1, next, ...submission });
      this.ring.bytes.set(bytes, this.addressOf(this.#index) - this.ring.iova);
      this.#index = (this.#index + 1) % this.ringSize;
      this.#count = (this.#count + 1) & 0xffff;
    }
  }

  doorbell(): void {
    this.write('DMACOUNT', this.#count);
  }

  submit(...submissions: IoatSubmission[]): void {
    this.prepare(...submissions);
    this.doorbell();
  }

  /** The last descriptor that was handed over is complete, as far as memory says. */
  get isIdle(): boolean {
    const { address, state } = this.written;
    return state === CHANNEL_STATES.IDLE && address === this.addressOf(this.#index + this.ringSize - 1);
  }

  /** CHANSTS as it is in memory: the address of the last completed descriptor, and the state. */
  get written(): { address: number; state: number } {
    return statusOf(this.completion.view.getBigUint64(0, true));
  }

  /** CHANSTS as it is read. */
  get status(): { address: number; state: number } {
    return statusOf(this.read('CHANSTS'));
  }

  get errors(): number {
    return this.read('CHANERR');
  }

  read<R extends ChannelRegister>(name: R) {
    return this.registers.read(`CHANNEL[${this.channel}].${name}`);
  }

  write(name: ChannelRegister, value: number | bigint): void {
    this.registers.write(`CHANNEL[${this.channel}].${name}` as 'CHANCNT', value as number);
  }
}

type ChannelRegister = keyof (typeof REGISTERS.spec)['CHANNEL']['registers'];

const statusOf = (chansts: bigint) => ({ address: Number(chansts & ~0x3fn), state: Number(chansts & 7n) });
