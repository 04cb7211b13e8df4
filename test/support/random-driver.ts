/**
 * A driver that acts at random: it sets up channels of the reference card, submits valid and invalid descriptors, resets,
 * masks, changes the kind of interrupts, and accesses registers. The same seed gives the same run.
 */
import { REFERENCE_REGISTERS } from '../../emulator/cards/reference';
import { type ManualClock } from '../../emulator/clock';
import { COMMAND, InProcessHost } from '../../emulator/host';
import { type RemoteMemory } from '../../emulator/memory';
import { type PciCard } from '../../emulator/pci';
import { traceOf } from '../../instrumentation/trace';
import { type Device } from '../../emulator/device';
import { ChannelDriver } from './reference-driver';

/** Memory without a descriptor, which the card accesses by message: the driver decides when answers arrive. */
const REMOTE_IOVA = 0x4000_0000;
const REMOTE_BYTES = 1 << 16;

export class Random {
  constructor(private state: number) {}

  /** From 0 to `limit` - 1. Mulberry32. */
  below(limit: number): number {
    this.state = (this.state + 0x6d2b_79f5) >>> 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), this.state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  }

  of<T>(values: readonly T[]): T {
    return values[this.below(values.length)]!;
  }
}

export class RandomDriver {
  readonly random: Random;
  readonly #host: InProcessHost;
  readonly #channels: ChannelDriver[];
  readonly #buffer;
  readonly #remote = new Uint8Array(REMOTE_BYTES);
  readonly #waiting: (() => void)[] = [];

  constructor(
    card: PciCard,
    private readonly clock: ManualClock,
    seed: number,
    /** The card, or a stage in front of it. */
    device: Device = traceOf(card).device,
  ) {
    this.random = new Random(seed);
    this.#host = new InProcessHost(device);
    const directions = ['H2C', 'C2H'] as const;
    this.#channels = [0, 1].flatMap((pair) => directions.map((way) => new ChannelDriver(this.#host, way, pair)));
    this.#buffer = this.#host.memory.allocate(1 << 16, 4096);
    this.#host.interrupts.onInterrupt = (vector) => this.#interrupted(vector);
    device.mapDma({
      ...{ iova: BigInt(REMOTE_IOVA), sizeBytes: BigInt(REMOTE_BYTES), readable: true, writable: true },
      backing: { kind: 'remote', memory: this.#remoteMemory() },
    });
  }

  async run(steps: number): Promise<void> {
    for (let step = 0; step < steps; step++) {
      this.#step();
      if (this.random.below(3) === 0) this.clock.advance(this.random.of([0, 1, 150, 1000, 100_000]));
      if (this.#waiting.length > 0 && this.random.below(2) === 0) await this.#answer();
    }
    while (this.#waiting.length > 0) await this.#answer();
  }

  get #registers() {
    return this.#host.registers(0, REFERENCE_REGISTERS);
  }

  #step(): void {
    const { random } = this;
    const host = this.#host;
    const pair = random.below(2);
    const rare: (() => void)[] = [
      () => host.reset('flr'),
      () => host.reset('device'),
      () => this.#registers.write('CONTROL', 1),
      () => host.command(random.of([0, COMMAND.MEMORY_SPACE, COMMAND.MEMORY_SPACE | COMMAND.INTERRUPT_DISABLE])),
      () => host.interrupts.disconnect(),
    ];
    const usual: (() => void)[] = [
      () => this.#submit(),
      () => this.#submit(),
      () => this.#submit(),
      () => void random.of(this.#channels).state,
      () => random.of(this.#channels).clearError(),
      () => random.of(this.#channels).setUp(),
      () => random.of(this.#channels).write('CONTROL', random.of([1, 1, 1, 0, 2])),
      () => random.of(this.#channels).write('MODERATION', random.below(4) | (random.of([0, 1, 50]) << 16)),
      () => this.#registers.write(`PAIR[${pair}].PROCESSING`, random.below(3)),
      () => this.#registers.write('IRQ_ENABLE', random.below(32)),
      () => this.#registers.write('IRQ_TRIGGER', random.below(32)),
      () => this.#registers.write('IRQ_STATUS', random.below(32)),
      () => host.useInterrupts(random.of(['intx', 'msi', 'msix'] as const)),
      () => host.useInterrupts(random.of(['msi', 'msix'] as const), 8),
      () => host.command(COMMAND.MEMORY_SPACE | COMMAND.BUS_MASTER),
      () => this.#synchronise(),
      () => void this.#registers.read('UPTIME_NS'),
      () => host.bar(2).writeBytes(random.below(4096), new Uint8Array(1 + random.below(64)).fill(random.below(256))),
      () => void host.bar(2).readBytes(random.below(4096), 1 + random.below(64)),
      () => void host.bar(0).read32(4 * random.below(0x1000)),
      () => host.bar(0).write32(4 * random.below(0x1000), random.below(1 << 30)),
      () => void host.config.read32(4 * random.below(64)),
    ];
    if (random.below(25) === 0) random.of(rare)();
    else random.of(usual)();
  }

  #submit(): void {
    const { random } = this;
    const channel = random.of(this.#channels);
    this.#buffer.bytes.fill(random.below(256), random.below(1 << 15), 1 << 15);
    for (let count = 1 + random.below(3); count > 0; count--) {
      const hostAddress = random.of([this.#buffer.iova, this.#buffer.iova, REMOTE_IOVA, 64]) + random.below(1 << 14);
      channel.prepare({
        hostAddress,
        lengthBytes: random.of([1, 64, 1000, 5000, 0]),
        cardAddress: random.below(1 << 14),
        owner: random.below(12) > 0,
        interrupt: random.below(2) === 0,
        endOfPacket: random.below(2) === 0,
      });
    }
    channel.doorbell();
  }

  #synchronise(): void {
    const { random } = this;
    const registers = this.#registers;
    const { iova, bytes } = random.of([this.#buffer, ...this.#channels.map(({ ring }) => ring)]);
    registers.write('SYNC[0].ADDRESS', BigInt(iova));
    registers.write('SYNC[0].SIZE', bytes.length);
    registers.write(random.of(['SYNC[0].FOR_DEVICE', 'SYNC[0].FOR_CPU'] as const), 1);
    for (const name of ['STATUS', 'NEVER_SYNCED', 'STALE', 'AWAITING_CPU', 'OVERWRITTEN'] as const) {
      registers.read(`SYNC[0].${name}`);
    }
    registers.read('SYNC[0].BAD_READ_ADDRESS');
  }

  /** Sometimes accesses the card in the call that delivers the interrupt. */
  #interrupted(vector: number): void {
    const { random } = this;
    if (random.below(2) === 0) this.#registers.read('IRQ_STATUS');
    if (random.below(2) === 0) this.#registers.write('IRQ_STATUS', 1 << vector);
    if (random.below(8) === 0) this.clock.advance(10);
  }

  #remoteMemory(): RemoteMemory {
    const at = (iova: bigint) => Number(iova) - REMOTE_IOVA;
    const answered = () => new Promise<void>((resolve) => this.#waiting.push(resolve));
    return {
      read: async (iova, into) => {
        await answered();
        into.set(this.#remote.subarray(at(iova), at(iova) + into.length));
      },
      write: async (iova, from) => {
        const bytes = from.slice();
        await answered();
        this.#remote.set(bytes, at(iova));
      },
    };
  }

  async #answer(): Promise<void> {
    for (const resolve of this.#waiting.splice(0)) resolve();
    await new Promise((resolve) => setImmediate(resolve));
  }
}
