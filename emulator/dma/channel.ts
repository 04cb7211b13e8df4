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
import { DmaError, type DmaPort, type DmaRole } from '../memory';
import { type RegisterView } from '../registers';
import { CompletionReporter } from './completion-reporter';
import { type Descriptor, completionStatus, descriptorOffsets, encodeControl, errorStatus } from './descriptor';
import { CardAddressError } from './endpoint';
import { type CHANNEL_REGISTERS, DESCRIPTOR_BYTES, ERROR_CODES, type ErrorCode, WRITEBACK_BYTES } from './layout';
import { DescriptorRing } from './ring';
import { transfer, type TransferPath, type TransferResult } from './transfer';

/** The engine yields to register accesses after this much work, counted in bytes. */
const quantumBytes = 1 << 20;
/** What a descriptor counts for besides its bytes. */
const descriptorOverheadBytes = 1024;

export interface DmaChannelOptions extends Omit<TransferPath, 'port'> {
  /** The way to host memory, by what it is used for. */
  readonly port: (role: DmaRole) => DmaPort;
  /** Receives 'running', 'idle', 'reset', or 'halted: CODE', of a ring with what is wrong with it. */
  readonly onState?: (state: string) => void;
  readonly registers: RegisterView<typeof CHANNEL_REGISTERS>;
  readonly clock: Clock;
  /** Width of the addresses that the channel can drive, at most 64 bits. */
  readonly addressBits: number;
  readonly maxLengthBytes: number;
  /** Raises the channel's interrupt source. */
  readonly interrupt: () => void;
}

/** What went wrong with the current descriptor. */
class TransferError extends Error {
  constructor(
    readonly code: ErrorCode,
    readonly address: bigint,
    detail?: string,
  ) {
    super(detail === undefined ? code : `${code}, ${detail}`);
  }
}

export class DmaChannel {
  readonly #options: DmaChannelOptions;
  readonly #hot: ReturnType<typeof hotRegisters>;
  readonly #ring: DescriptorRing;
  readonly #path: TransferPath;
  readonly #descriptorPort: DmaPort;
  readonly #process: Process;
  readonly #completion: CompletionReporter;
  readonly #descriptor: Descriptor = {
    owner: false,
    interrupt: false,
    endOfPacket: false,
    lengthBytes: 0,
    hostAddress: 0,
    cardAddress: 0,
  };
  /** Progress of the current descriptor. */
  readonly #transferred: TransferResult = { movedBytes: 0, endedPacket: false };
  /** Its bytes are moved, but it could not be handed back: when the cause is removed, only that is repeated. */
  #isTransferred = false;
  #totalBytes = 0;
  #isScheduled = false;

  constructor(options: DmaChannelOptions) {
    this.#options = options;
    const { registers, clock, port, link, endpoint } = options;
    this.#path = { port: port('data'), link, endpoint };
    this.#descriptorPort = port('descriptor');
    this.#hot = hotRegisters(registers);
    this.#ring = new DescriptorRing(this.#descriptorPort);
    this.#process = new Process(clock);
    this.#completion = new CompletionReporter({
      clock,
      port: port('write-back'),
      writeBackAddress: () => this.#writeBackAddress,
      state: () => ({
        consumerIndex: this.#hot.consumerIndex.value,
        status: this.#hot.status.value,
        completed: this.#hot.completed.value,
      }),
      moderation: () => ({
        count: registers.get('MODERATION.COUNT'),
        timeoutUs: registers.get('MODERATION.TIMEOUT_US'),
      }),
      interrupt: options.interrupt,
    });
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

  /** Back to an empty ring without errors; the current transfer is discarded. The ring's own registers stay. */
  reset(): void {
    const { registers } = this.#options;
    this.#process.cancel();
    this.#completion.reset();
    this.#ring.discardFetched();
    this.#ring.producer = 0;
    this.#ring.consumer = 0;
    this.#isTransferred = false;
    this.#totalBytes = 0;
    this.#hot.control.set('RESET', 0);
    for (const name of ['STATUS', 'CONSUMER_INDEX', 'ERROR_INDEX', 'COMPLETED'] as const) registers.set(name, 0);
    registers.set('ERROR_ADDRESS', 0n);
    this.#options.onState?.('reset');
  }

  /** Starts the engine as soon as the access that caused it has ended. */
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
    this.#completion.refresh();
    this.#kick();
  }

  /** The engine at work, descriptor after descriptor, until the ring is empty, RUN is cleared or it has halted. */
  *#run(): Generator<Wait, void, void> {
    const { registers } = this.#options;
    const ring = this.#ring;
    do {
      ring.base = Number(registers.get('RING_BASE'));
      ring.size = registers.get('RING_SIZE');
      ring.discardFetched();
      if (ring.isEmpty) return;
      this.#hot.status.set('BUSY', 1);
      this.#options.onState?.('running');
      try {
        yield* this.#drainRing();
        if (!this.#process.isRunning) return; // reset by whoever was notified of a completion
        this.#hot.status.set('BUSY', 0);
        this.#options.onState?.('idle');
        this.#completion.idle();
      } catch (error) {
        this.#hot.status.set('BUSY', 0);
        yield* this.#halt(this.#transferErrorOf(error));
      }
      // While it halted, the error may have been cleared and the doorbell rung.
    } while (this.#process.isRunning && !ring.isEmpty && this.#mayRun);
  }

  /** Takes one descriptor after the other. */
  *#drainRing(): Generator<Wait, void, void> {
    const ring = this.#ring;
    const port = this.#descriptorPort;
    let work = 0;
    while (!ring.isEmpty && this.#mayRun) {
      if (!ring.isFetched) yield* this.#fetch();
      ring.decode(this.#descriptor);
      if (!this.#isTransferred) {
        this.#checkDescriptor();
        yield* transfer(this.#path, this.#descriptor, this.#transferred);
        this.#isTransferred = true;
      }
      // Hands the descriptor back to the driver, the owner bit last.
      const address = ring.addressOf(ring.consumer);
      const { interrupt, endOfPacket, lengthBytes } = this.#descriptor;
      const { movedBytes, endedPacket } = this.#transferred;
      yield* port.write32(address + descriptorOffsets.transferred, movedBytes);
      yield* port.write32(address + descriptorOffsets.status, completionStatus(endedPacket));
      yield* port.write32(address + descriptorOffsets.control, encodeControl({ owner: false, interrupt, endOfPacket }));
      this.#completed();
      if (!this.#process.isRunning) return;
      work += lengthBytes + descriptorOverheadBytes;
      if (work < quantumBytes) continue;
      work = 0;
      yield { delayNs: 0 };
    }
  }

  *#fetch(): Generator<Wait, void, void> {
    const ring = this.#ring;
    const { mistake } = ring;
    if (mistake !== undefined) throw new TransferError('BAD_RING', this.#options.registers.get('RING_BASE'), mistake);
    this.#checkHostAddress(ring.addressOf(ring.consumer), DESCRIPTOR_BYTES, () => this.#descriptorAddress);
    yield* ring.fetch();
  }

  #checkDescriptor(): void {
    const { owner, lengthBytes, hostAddress } = this.#descriptor;
    if (!owner) throw new TransferError('NOT_OWNED', this.#descriptorAddress);
    if (lengthBytes === 0 || lengthBytes > this.#options.maxLengthBytes) {
      throw new TransferError('BAD_LENGTH', this.#descriptorAddress);
    }
    this.#checkHostAddress(hostAddress, lengthBytes, () => this.#ring.exactAddress('hostAddress'));
  }

  #checkHostAddress(address: number, lengthBytes: number, exactAddress: () => bigint): void {
    const limit = 2 ** Math.min(this.#options.addressBits, 53);
    if (address + lengthBytes > limit) throw new TransferError('BAD_HOST_ADDRESS', exactAddress());
  }

  /** Host address of the descriptor in hand, also where a number would round it. */
  get #descriptorAddress(): bigint {
    const base = this.#options.registers.get('RING_BASE');
    return BigInt.asUintN(64, base + BigInt(this.#ring.consumer * DESCRIPTOR_BYTES));
  }

  /** The descriptor in hand has been handed back; it counts towards an interrupt. */
  #completed(): void {
    const ring = this.#ring;
    ring.advance();
    this.#isTransferred = false;
    this.#totalBytes += this.#transferred.movedBytes;
    this.#hot.consumerIndex.value = ring.consumer;
    this.#hot.completed.value = (this.#hot.completed.value + 1) >>> 0;
    if (ring.isEmpty) this.#hot.status.set('BUSY', 0);
    this.#completion.descriptorDone(this.#descriptor.interrupt);
  }

  /** None when the driver wants none, or when the card cannot drive the address. */
  get #writeBackAddress(): number | undefined {
    const { registers, addressBits } = this.#options;
    const written = Number(registers.get('WRITEBACK_ADDRESS'));
    const address = written - (written % WRITEBACK_BYTES);
    return address === 0 || address + WRITEBACK_BYTES > 2 ** addressBits ? undefined : address;
  }

  *#halt(error: TransferError): Generator<Wait, void, void> {
    const { registers } = this.#options;
    const ring = this.#ring;
    const { code, address } = error;
    this.#options.onState?.(`halted: ${error.message}`);
    this.#hot.status.set('HALTED', 1);
    this.#hot.status.set('ERROR', 1);
    this.#hot.status.set('ERROR_CODE', ERROR_CODES[code]);
    registers.set('ERROR_INDEX', ring.consumer);
    registers.set('ERROR_ADDRESS', address);
    const descriptorIsOurs = code === 'BAD_LENGTH' || code === 'BAD_HOST_ADDRESS' || code === 'BAD_CARD_ADDRESS';
    if (descriptorIsOurs && ring.isFetched) {
      try {
        const address = ring.addressOf(ring.consumer) + descriptorOffsets.status;
        yield* this.#descriptorPort.write32(address, errorStatus(code));
      } catch (failure) {
        if (!(failure instanceof DmaError)) throw failure;
      }
    }
    this.#completion.alert();
  }

  /** The error code of a failed access. Any other exception is a model error, and is thrown on. */
  #transferErrorOf(error: unknown): TransferError {
    if (error instanceof TransferError) return error;
    if (error instanceof CardAddressError) {
      const start = this.#ring.exactAddress('cardAddress');
      return new TransferError('BAD_CARD_ADDRESS', BigInt.asUintN(64, start + BigInt(this.#transferred.movedBytes)));
    }
    if (error instanceof DmaError) {
      return new TransferError(
        error.reason === 'bus-master-off' ? 'BUS_MASTER_OFF' : 'BAD_HOST_ADDRESS',
        BigInt(error.faultIova),
      );
    }
    throw error;
  }
}

/** The registers that the engine touches for every descriptor, looked up once. */
const hotRegisters = (registers: RegisterView<typeof CHANNEL_REGISTERS>) => ({
  control: registers.register('CONTROL'),
  status: registers.register('STATUS'),
  consumerIndex: registers.register('CONSUMER_INDEX'),
  completed: registers.register('COMPLETED'),
});
