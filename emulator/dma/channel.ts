/**
 * A scatter-gather DMA channel: takes descriptors from a ring in host memory, moves their bytes between host memory and
 * an endpoint of the card, and reports completion.
 *
 * Order as seen by the driver is what a PCIe device guarantees (PCI Express Base Specification, section 2.4: posted
 * writes stay in order): data, then the descriptor with its owner bit last, then the write-back block, then the
 * interrupt. The engine halts on the first error, with its cause, descriptor index and address in registers, and goes
 * on when the driver has cleared it.
 */
import { type Clock, Process, type Wait } from '../clock';
import { DmaError, type DmaPort } from '../memory';
import { type RegisterView } from '../registers';
import { type Descriptor, completionStatus, descriptorOffsets, encodeControl, errorStatus } from './descriptor';
import { CardAddressError, type DataSink, type DataSource } from './endpoint';
import { type CHANNEL_REGISTERS, DESCRIPTOR_BYTES, ERROR_CODES, type ErrorCode, WRITEBACK_BYTES } from './layout';
import { type Link } from './link';
import { InterruptModeration } from './moderation';
import { DescriptorRing } from './ring';
import { writeBack } from './write-back';

/** The engine gives way to register accesses after this much work, counted in bytes. */
const quantumBytes = 1 << 20;
/** What a descriptor counts for besides its bytes. */
const descriptorOverheadBytes = 1024;

export interface DmaChannelOptions {
  readonly registers: RegisterView<typeof CHANNEL_REGISTERS>;
  readonly port: DmaPort;
  readonly clock: Clock;
  readonly link: Link;
  /** Where bytes go to or come from; asked for at the start of every descriptor. */
  readonly endpoint: { readonly h2c: () => DataSink } | { readonly c2h: () => DataSource };
  /** Addresses the channel can drive: 32 or 64 bits. */
  readonly addressBits: 32 | 64;
  readonly maxLengthBytes: number;
  /** Raises the channel's interrupt source. */
  readonly interrupt: () => void;
}

/** What went wrong with the descriptor in hand. */
class TransferError extends Error {
  constructor(
    readonly code: ErrorCode,
    readonly address = 0,
  ) {
    super(`DMA engine halted: ${code}`);
  }
}

export class DmaChannel {
  readonly #options: DmaChannelOptions;
  readonly #hot: ReturnType<typeof hotRegisters>;
  readonly #ring: DescriptorRing;
  readonly #process: Process;
  readonly #reporter: Process;
  readonly #moderation: InterruptModeration;
  readonly #descriptor: Descriptor = {
    owner: false,
    interrupt: false,
    endOfPacket: false,
    lengthBytes: 0,
    hostAddress: 0,
    cardAddress: 0,
  };
  /** Bytes of the descriptor in hand that have been moved, and whether the last of them ended a packet. */
  #movedBytes = 0;
  #endedPacket = false;
  #totalBytes = 0;
  #isScheduled = false;

  constructor(options: DmaChannelOptions) {
    this.#options = options;
    const { registers, clock, port } = options;
    this.#hot = hotRegisters(registers);
    this.#ring = new DescriptorRing(port);
    this.#process = new Process(clock);
    this.#reporter = new Process(clock);
    this.#moderation = new InterruptModeration(
      clock,
      () => ({ count: registers.get('MODERATION.COUNT'), timeoutUs: registers.get('MODERATION.TIMEOUT_US') }),
      () => this.#reporter.start(this.#report()),
    );
    registers.onRead('BYTES', () => BigInt(this.#totalBytes));
    registers.onWrite('DOORBELL', ({ value }) => {
      this.#ring.producer = value & 0xffff;
      this.#kick();
    });
    registers.onWrite('CONTROL', () => {
      if (this.#hot.control.get('RESET')) this.reset();
      this.#kick();
    });
    registers.onWrite('STATUS', () => {
      if (this.#hot.status.get('HALTED') && !this.#hot.status.get('ERROR')) this.#resumeAfterError();
    });
  }

  /** Back to an empty ring without errors; a transfer in hand is dropped. The ring's own registers stay. */
  reset(): void {
    const { registers } = this.#options;
    this.#process.cancel();
    this.#reporter.cancel();
    this.#moderation.clear();
    this.#ring.discardFetched();
    this.#ring.producer = 0;
    this.#ring.consumer = 0;
    this.#movedBytes = 0;
    this.#totalBytes = 0;
    this.#hot.control.set('RESET', 0);
    for (const name of ['STATUS', 'CONSUMER_INDEX', 'ERROR_INDEX', 'COMPLETED'] as const) registers.set(name, 0);
    registers.set('ERROR_ADDRESS', 0n);
  }

  /** Lets the engine look at its ring: not at once, but as soon as the access that caused it is done. */
  #kick(): void {
    if (this.#isScheduled || this.#process.isRunning) return;
    this.#isScheduled = true;
    this.#options.clock.after(0, () => {
      this.#isScheduled = false;
      if (!this.#process.isRunning && this.#mayRun) this.#process.start(this.#run());
    });
  }

  get #mayRun(): boolean {
    return this.#hot.control.get('RUN') === 1 && this.#hot.status.get('HALTED') === 0;
  }

  #resumeAfterError(): void {
    this.#hot.status.set('HALTED', 0);
    this.#hot.status.set('ERROR_CODE', ERROR_CODES.NONE);
    this.#ring.discardFetched();
    this.#kick();
  }

  /** The engine at work: until there is none left, also none that came while it was reporting. */
  *#run(): Generator<Wait, void, void> {
    do yield* this.#drainRing();
    while (!this.#ring.isEmpty && this.#mayRun);
  }

  /** Descriptor after descriptor until the ring is empty, RUN is cleared or something is wrong. */
  *#drainRing(): Generator<Wait, void, void> {
    const { registers } = this.#options;
    const ring = this.#ring;
    ring.base = Number(registers.get('RING_BASE'));
    ring.size = registers.get('RING_SIZE');
    if (ring.isEmpty) return;
    this.#hot.status.set('BUSY', 1);
    try {
      let work = 0;
      while (!ring.isEmpty && this.#mayRun) {
        if (!ring.isFetched) yield* this.#fetch();
        ring.decode(this.#descriptor);
        this.#checkDescriptor();
        yield* this.#transfer();
        yield* this.#complete();
        work += this.#descriptor.lengthBytes + descriptorOverheadBytes;
        if (work >= quantumBytes) {
          work = 0;
          yield { delayNs: 0 };
        }
      }
      this.#hot.status.set('BUSY', 0);
      yield* this.#writeBack();
    } catch (error) {
      this.#hot.status.set('BUSY', 0);
      yield* this.#halt(transferErrorOf(error));
    }
  }

  *#fetch(): Generator<Wait, void, void> {
    const ring = this.#ring;
    if (ring.fault !== undefined) throw new TransferError('BAD_RING', ring.base);
    this.#checkHostAddress(ring.addressOf(ring.consumer), DESCRIPTOR_BYTES);
    const pending = ring.fetch();
    if (pending) yield pending;
  }

  #checkDescriptor(): void {
    const { owner, lengthBytes, hostAddress } = this.#descriptor;
    if (!owner) throw new TransferError('NOT_OWNED', this.#ring.addressOf(this.#ring.consumer));
    if (lengthBytes === 0 || lengthBytes > this.#options.maxLengthBytes)
      throw new TransferError('BAD_LENGTH', lengthBytes);
    this.#checkHostAddress(hostAddress, lengthBytes);
  }

  #checkHostAddress(address: number, lengthBytes: number): void {
    const limit = 2 ** Math.min(this.#options.addressBits, 53);
    if (address + lengthBytes > limit) throw new TransferError('BAD_HOST_ADDRESS', address);
  }

  /** Moves the bytes of the descriptor in hand; it ends when they are all moved or, C2H, with the packet. */
  *#transfer(): Generator<Wait, void, void> {
    const { endpoint, port, link } = this.#options;
    const { hostAddress, cardAddress, lengthBytes, endOfPacket } = this.#descriptor;
    this.#movedBytes = 0;
    this.#endedPacket = false;
    while (this.#movedBytes < lengthBytes && !this.#endedPacket) {
      const moved = this.#movedBytes;
      let pending: Promise<void> | undefined;
      let bytes: number;
      if ('h2c' in endpoint) {
        const sink = endpoint.h2c();
        const window = sink.reserve(cardAddress + moved, lengthBytes - moved);
        if (window === undefined) {
          yield (resume) => sink.whenReady(resume);
          continue;
        }
        bytes = window.length;
        if ((pending = port.read(hostAddress + moved, window))) yield pending;
        sink.commit(bytes, endOfPacket && moved + bytes === lengthBytes);
      } else {
        const source = endpoint.c2h();
        const window = source.peek(cardAddress + moved, lengthBytes - moved);
        if (window === undefined) {
          yield (resume) => source.whenReady(resume);
          continue;
        }
        bytes = window.length;
        if ((pending = port.write(hostAddress + moved, window))) yield pending;
        this.#endedPacket = source.consume(bytes);
      }
      this.#movedBytes += bytes;
      const delayNs = link.occupy('h2c' in endpoint ? 'h2c' : 'c2h', bytes);
      if (delayNs > 0) yield { delayNs };
    }
    if (link.completionLatencyNs > 0) yield { delayNs: link.completionLatencyNs };
  }

  /** Hands the descriptor back to the driver, and counts it towards an interrupt. */
  *#complete(): Generator<Wait, void, void> {
    const { port } = this.#options;
    const ring = this.#ring;
    const { interrupt, endOfPacket } = this.#descriptor;
    const address = ring.addressOf(ring.consumer);
    let pending = port.write32(address + descriptorOffsets.transferred, this.#movedBytes);
    if (pending) yield pending;
    pending = port.write32(address + descriptorOffsets.status, completionStatus(this.#endedPacket));
    if (pending) yield pending;
    pending = port.write32(
      address + descriptorOffsets.control,
      encodeControl({ owner: false, interrupt, endOfPacket }),
    );
    if (pending) yield pending;
    ring.advance();
    this.#totalBytes += this.#movedBytes;
    this.#hot.consumerIndex.value = ring.consumer;
    this.#hot.completed.value = (this.#hot.completed.value + 1) >>> 0;
    if (ring.isEmpty) this.#hot.status.set('BUSY', 0);
    if (interrupt) this.#moderation.completed();
  }

  /** Write-back, then interrupt. */
  *#report(): Generator<Wait, void, void> {
    yield* this.#writeBack();
    this.#options.interrupt();
  }

  *#writeBack(): Generator<Wait, void, void> {
    const { registers, port, addressBits } = this.#options;
    const address = Number(registers.get('WRITEBACK_ADDRESS'));
    if (address === 0 || address + WRITEBACK_BYTES > 2 ** Math.min(addressBits, 53)) return;
    try {
      yield* writeBack(port, address, {
        consumerIndex: registers.get('CONSUMER_INDEX'),
        status: registers.get('STATUS'),
        completed: registers.get('COMPLETED'),
      });
    } catch (error) {
      // The registers tell the same; a card that cannot reach its write-back block has no better way to say so.
      if (!(error instanceof DmaError)) throw error;
    }
  }

  *#halt(error: TransferError): Generator<Wait, void, void> {
    const { registers, port } = this.#options;
    const ring = this.#ring;
    const { code, address } = error;
    this.#hot.status.set('HALTED', 1);
    this.#hot.status.set('ERROR', 1);
    this.#hot.status.set('ERROR_CODE', ERROR_CODES[code]);
    registers.set('ERROR_INDEX', ring.consumer);
    registers.set('ERROR_ADDRESS', BigInt(address));
    const descriptorIsOurs = code === 'BAD_LENGTH' || code === 'BAD_HOST_ADDRESS' || code === 'BAD_CARD_ADDRESS';
    if (descriptorIsOurs && ring.isFetched) {
      try {
        const pending = port.write32(ring.addressOf(ring.consumer) + descriptorOffsets.status, errorStatus(code));
        if (pending) yield pending;
      } catch (failure) {
        if (!(failure instanceof DmaError)) throw failure;
      }
    }
    this.#moderation.fireNow();
  }
}

/** The registers that the engine touches for every descriptor, looked up once. */
const hotRegisters = (registers: RegisterView<typeof CHANNEL_REGISTERS>) => ({
  control: registers.register('CONTROL'),
  status: registers.register('STATUS'),
  consumerIndex: registers.register('CONSUMER_INDEX'),
  completed: registers.register('COMPLETED'),
});

/** What an engine makes of a failed access. Anything but a failed access is a bug in the model and goes up. */
function transferErrorOf(error: unknown): TransferError {
  if (error instanceof TransferError) return error;
  if (error instanceof CardAddressError) return new TransferError('BAD_CARD_ADDRESS', error.cardAddress);
  if (error instanceof DmaError) {
    return new TransferError(error.reason === 'bus-master-off' ? 'BUS_MASTER_OFF' : 'BAD_HOST_ADDRESS', error.iova);
  }
  throw error;
}
