/**
 * A scatter-gather DMA channel: takes descriptors from a ring in host memory, moves their bytes between host memory and
 * an endpoint of the card, and reports completion. It is made of the parts of emulator/dma, and is an example of how.
 *
 * Order as seen by the driver is what a PCIe device guarantees (PCI Express Base Specification, section 2.4: posted
 * writes stay in order): data, then the descriptor with its owner bit last, then the write-back block, then the
 * interrupt. The engine halts on the first error, with its cause, descriptor index and address in registers, and goes
 * on when the driver has cleared it.
 */
import { type Clock, type Wait } from '../../clock';
import {
  CardAddressError,
  CompletionReporter,
  DescriptorEngine,
  narrowOrder,
  RingWalker,
  transfer,
  type TransferPath,
  type TransferResult,
} from '../../dma';
import { DmaError, type DmaPort, type DmaRole, FAILED_COMPLETIONS } from '../../memory';
import { fieldOf, offsetOf, type RegisterView } from '../../registers';
import {
  completionStatus,
  DESCRIPTOR_CODEC,
  type DESCRIPTOR_FIELDS,
  descriptorOffsets,
  errorStatus,
  handedBack,
} from './descriptor';
import { CHANNEL_REGISTERS, DESCRIPTOR_BYTES, ERROR_CODES, type ErrorCode, WRITEBACK, WRITEBACK_BYTES } from './layout';

/** What a channel of the reference card works with. */
export interface DmaChannelOptions extends Omit<TransferPath, 'port'> {
  /** The way to host memory, by what it is used for. */
  readonly port: (role: DmaRole) => DmaPort;
  /** Receives 'running', 'idle', 'reset', or 'halted: CODE, descriptor N', of a ring with what is wrong with it. */
  readonly onState?: (state: string) => void;
  readonly registers: RegisterView<typeof CHANNEL_REGISTERS>;
  readonly clock: Clock;
  /** Width of the addresses that the channel can drive, at most 64 bits. */
  readonly addressBits: number;
  readonly maxLengthBytes: number;
  /** Of a length register that is narrower than the descriptor's field: bits above are dropped without a word. */
  readonly lengthBits?: number | undefined;
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

const RUN = fieldOf(CHANNEL_REGISTERS, 'CONTROL.RUN').mask;
const HALTED = fieldOf(CHANNEL_REGISTERS, 'STATUS.HALTED').mask;

/** A scatter-gather channel of the reference card: the descriptor ring, its engine, write-back and interrupt. */
export class DmaChannel {
  readonly #options: DmaChannelOptions;
  readonly #hot: ReturnType<typeof hotRegisters>;
  readonly #ring: RingWalker<keyof typeof DESCRIPTOR_FIELDS>;
  readonly #engine: DescriptorEngine;
  readonly #path: TransferPath;
  readonly #descriptorPort: DmaPort;
  readonly #completion: CompletionReporter;
  /** Progress of the current descriptor. */
  readonly #transferred: TransferResult = { movedBytes: 0, endedPacket: false };
  /** Its bytes are moved, but it could not be handed back: when the cause is removed, only that is repeated. */
  #isTransferred = false;
  #totalBytes = 0;

  constructor(options: DmaChannelOptions) {
    this.#options = options;
    const { registers, clock, port, link, endpoint } = options;
    const hot = (this.#hot = hotRegisters(registers));
    this.#path = { port: port('data'), link, endpoint };
    this.#descriptorPort = port('descriptor');
    this.#ring = new RingWalker(this.#descriptorPort, DESCRIPTOR_CODEC);
    this.#engine = new DescriptorEngine({
      clock,
      walker: this.#ring,
      mayRun: () => (hot.control.value & RUN) !== 0 && (hot.status.value & HALTED) === 0,
      begin: () => {
        this.#ring.base = Number(registers.get('RING_BASE'));
        this.#ring.size = registers.get('RING_SIZE');
      },
      started: () => this.#setBusy(1, 'running'),
      checkFetch: () => this.#checkRing(),
      execute: () => this.#execute(),
      completed: () => this.#completed(),
      stopped: () => {
        this.#setBusy(0, 'idle');
        this.#completion.idle();
      },
      failed: (error) => this.#halt(this.#transferErrorOf(error)),
    });
    const writeBackPort = port('write-back');
    this.#completion = new CompletionReporter({
      clock,
      writeBack: () => this.#writeBack(writeBackPort),
      moderation: () => ({
        count: registers.get('MODERATION.COUNT'),
        timeoutUs: registers.get('MODERATION.TIMEOUT_US'),
      }),
      interrupt: options.interrupt,
    });
    registers.onRead('BYTES', () => BigInt(this.#totalBytes));
    registers.onWrite('DOORBELL', ({ value }) => {
      this.#ring.producer = value & 0xffff;
      this.#engine.kick();
    });
    registers.onWrite('CONTROL', () => {
      if (hot.control.get('RESET')) this.reset();
      this.#engine.kick();
    });
    registers.onWrite('STATUS', () => {
      if (hot.status.get('HALTED') && !hot.status.get('ERROR')) this.#resumeAfterError();
    });
  }

  /** Back to an empty ring without errors; the current transfer is discarded. The ring's own registers stay. */
  reset(): void {
    const { registers, onState } = this.#options;
    this.#engine.abort();
    this.#completion.reset();
    this.#ring.producer = 0;
    this.#ring.consumer = 0;
    this.#isTransferred = false;
    this.#totalBytes = 0;
    this.#hot.control.set('RESET', 0);
    for (const name of ['STATUS', 'CONSUMER_INDEX', 'ERROR_INDEX', 'COMPLETED'] as const) registers.set(name, 0);
    registers.set('ERROR_ADDRESS', 0n);
    onState?.('reset');
  }

  #resumeAfterError(): void {
    this.#hot.status.set('HALTED', 0);
    this.#hot.status.set('ERROR_CODE', ERROR_CODES.NONE);
    this.#ring.discardFetched();
    this.#completion.refresh();
    this.#engine.kick();
  }

  #setBusy(busy: 0 | 1, state: string): void {
    this.#hot.status.set('BUSY', busy);
    this.#options.onState?.(state);
  }

  *#execute(): Generator<Wait, number, void> {
    const { descriptor, address } = this.#ring;
    const port = this.#descriptorPort;
    if (!this.#isTransferred) {
      this.#checkDescriptor();
      yield* transfer(this.#path, narrowOrder(descriptor, this.#options.lengthBits), this.#transferred);
      this.#isTransferred = true;
    }
    // Hands the descriptor back to the driver, the owner bit last.
    const { movedBytes, endedPacket } = this.#transferred;
    yield* port.write32(address + descriptorOffsets.transferred, movedBytes);
    yield* port.write32(address + descriptorOffsets.status, completionStatus(endedPacket));
    yield* port.write32(address + descriptorOffsets.control, handedBack(descriptor.control));
    return descriptor.lengthBytes;
  }

  #checkRing(): void {
    const mistake = mistakeOf(this.#ring);
    if (mistake !== undefined) throw new TransferError('BAD_RING', this.#options.registers.get('RING_BASE'), mistake);
    this.#checkHostAddress(this.#ring.address, DESCRIPTOR_BYTES, () => this.#descriptorAddress);
  }

  #checkDescriptor(): void {
    const { descriptor } = this.#ring;
    const { hostAddress, lengthBytes } = descriptor;
    if (!descriptor.owner) throw new TransferError('NOT_OWNED', this.#descriptorAddress);
    if (lengthBytes === 0 || lengthBytes > this.#options.maxLengthBytes) {
      throw new TransferError('BAD_LENGTH', this.#descriptorAddress);
    }
    this.#checkHostAddress(hostAddress, lengthBytes, () => descriptor.exact('hostAddress'));
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

  /** The descriptor has been handed back; it counts towards an interrupt. */
  #completed(): void {
    const { consumer, hasNext, descriptor } = this.#ring;
    this.#isTransferred = false;
    this.#totalBytes += this.#transferred.movedBytes;
    this.#hot.consumerIndex.value = consumer;
    this.#hot.completed.value = (this.#hot.completed.value + 1) >>> 0;
    if (!hasNext) this.#hot.status.set('BUSY', 0);
    this.#completion.descriptorDone(descriptor.interrupt === 1);
  }

  /** The block is written unless the driver wants none, or the card cannot drive its address. */
  *#writeBack(port: DmaPort): Generator<Wait, void, void> {
    const { registers, addressBits } = this.#options;
    const written = Number(registers.get('WRITEBACK_ADDRESS'));
    const address = written - (written % WRITEBACK_BYTES);
    if (address === 0 || address + WRITEBACK_BYTES > 2 ** addressBits) return;
    // The state of now: it may change in a wait. The consumer index comes last; whoever sees it move sees the rest too.
    const [status, completed, consumer] = [
      this.#hot.status.value,
      this.#hot.completed.value,
      this.#hot.consumerIndex.value,
    ];
    yield* port.write32(address + writeBackOffsets.status, status);
    yield* port.write32(address + writeBackOffsets.completed, completed);
    yield* port.write32(address + writeBackOffsets.consumerIndex, consumer);
  }

  *#halt(error: TransferError): Generator<Wait, void, void> {
    const { registers } = this.#options;
    const ring = this.#ring;
    const { code, address } = error;
    this.#setBusy(0, `halted: ${error.message}${code === 'BAD_RING' ? '' : `, descriptor ${ring.consumer}`}`);
    this.#hot.status.set('HALTED', 1);
    this.#hot.status.set('ERROR', 1);
    this.#hot.status.set('ERROR_CODE', ERROR_CODES[code]);
    registers.set('ERROR_INDEX', ring.consumer);
    registers.set('ERROR_ADDRESS', address);
    const descriptorIsOurs = code === 'BAD_LENGTH' || code === 'BAD_HOST_ADDRESS' || code === 'BAD_CARD_ADDRESS';
    if (descriptorIsOurs && ring.isFetched) {
      try {
        yield* this.#descriptorPort.write32(ring.address + descriptorOffsets.status, errorStatus(code));
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
      const start = this.#ring.descriptor.exact('cardAddress');
      return new TransferError('BAD_CARD_ADDRESS', BigInt.asUintN(64, start + BigInt(this.#transferred.movedBytes)));
    }
    if (error instanceof DmaError) {
      const { reason, faultIova } = error;
      if (reason === 'bus-master-off') return new TransferError('BUS_MASTER_OFF', BigInt(faultIova));
      const detail = FAILED_COMPLETIONS.find((failed) => failed === reason);
      return new TransferError('BAD_HOST_ADDRESS', BigInt(faultIova), detail);
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

const writeBackOffsets = {
  consumerIndex: offsetOf(WRITEBACK, 'CONSUMER_INDEX'),
  status: offsetOf(WRITEBACK, 'STATUS'),
  completed: offsetOf(WRITEBACK, 'COMPLETED'),
};

const RING_SIZE = { min: 2, max: 65_536 };

/** What is wrong with the ring as the driver has set it up, or undefined. */
function mistakeOf({
  base,
  size,
  producer,
  consumer,
}: Pick<RingWalker<string>, 'base' | 'size' | 'producer' | 'consumer'>): string | undefined {
  const { min, max } = RING_SIZE;
  if (size < min || size > max || (size & (size - 1)) !== 0) {
    return `RING_SIZE ${size} is not a power of two from ${min} to ${max}`;
  }
  if (base % DESCRIPTOR_BYTES !== 0) return `RING_BASE 0x${base.toString(16)} is not a multiple of ${DESCRIPTOR_BYTES}`;
  if (producer >= size) return `DOORBELL index ${producer} is outside the ring of ${size}`;
  if (consumer >= size) return `CONSUMER_INDEX ${consumer} is outside the ring of ${size}, which has shrunk`;
  return undefined;
}
