/**
 * One channel of the core: follows a chain of descriptors in host memory, moves their bytes, and shows what has happened
 * in its status register, from where it may interrupt.
 *
 * What AMD PG195 leaves open is decided here as its drivers expect it: the engine stops at each error, and starts again when
 * RUN is cleared and set; a block of adjacent descriptors that crosses 4 KiB is a fetch that fails.
 */
import { type Clock, type Wait } from '../../clock';
import {
  CardAddressError,
  ChainWalker,
  CompletionReporter,
  DescriptorEngine,
  narrowOrder,
  PostedPort,
  transfer,
  type TransferPath,
} from '../../dma';
import { DmaError, type DmaPort, type DmaRole } from '../../memory';
import { type FieldPath, fieldOf, type RegisterView } from '../../registers';
import { CODECS, type Direction, XDMA_DESCRIPTOR_BYTES, XDMA_MAGIC, XDMA_STREAM_MAGIC } from './layout';
import { CHANNEL, type CHANNEL_SGDMA, type SGDMA_COMMON } from './registers';

export interface XdmaChannelOptions extends Omit<TransferPath, 'port'> {
  readonly direction: Direction;
  /** AXI4-Stream, or memory-mapped. */
  readonly isStream: boolean;
  readonly registers: RegisterView<typeof CHANNEL>;
  readonly sgdma: RegisterView<typeof CHANNEL_SGDMA>;
  readonly common: RegisterView<typeof SGDMA_COMMON>;
  /** The channel's bit in the registers of `common`. */
  readonly commonBit: number;
  /** The way to host memory, by what it is used for. */
  readonly port: (role: DmaRole) => DmaPort;
  readonly clock: Clock;
  /** To which source and destination have to be aligned alike, in bytes. */
  readonly alignment: number;
  /** Of a length counter that is narrower than the descriptor's field: bits above are dropped without a word. */
  readonly lengthBits?: number | undefined;
  /** Drives the channel's interrupt. */
  readonly interrupt: (level: boolean) => void;
  /** Receives 'running', 'idle', 'reset', or 'halted: CODE, descriptor N' (since RUN was set) and what was wrong. */
  readonly onState: (state: string) => void;
}

/** Width of an AXI4-Stream, in bytes: what DATA_WIDTH says. */
const STREAM_BYTES = 64;

const mask = (field: FieldPath<typeof CHANNEL>): number => Number(fieldOf(CHANNEL, field).mask);
const RUN = mask('CONTROL.RUN');
const POLL_MODE = mask('CONTROL.POLLMODE_WB_ENABLE');
const STREAM_WB_DISABLE = mask('CONTROL.STREAM_WB_DISABLE');
const BUSY = mask('STATUS.BUSY');
const STOPPED = mask('STATUS.DESCRIPTOR_STOPPED');
const COMPLETED = mask('STATUS.DESCRIPTOR_COMPLETED');
const IDLE_STOPPED = mask('STATUS.IDLE_STOPPED');
const INVALID_LENGTH = mask('CONTROL.IE_INVALID_LENGTH');

/** The errors in STATUS. */
const CODES = [
  ...['ALIGN_MISMATCH', 'MAGIC_STOPPED', 'INVALID_LENGTH'],
  ...['READ_ERROR', 'WRITE_ERROR', 'DESC_ERROR'],
] as const;
type ErrorCode = (typeof CODES)[number];
const ERRORS = CODES.reduce((all, code) => all | mask(`STATUS.${code}`), 0);

/** Why the engine stops at a descriptor. */
class ChannelError extends Error {
  /** The bit of STATUS. */
  readonly status: number;

  /** `bit` of the field; the lowest: unsupported request, or of AXI, decode error. */
  constructor(
    readonly code: ErrorCode,
    message: string,
    bit = 0,
  ) {
    super(message);
    const field = mask(`STATUS.${code}`);
    this.status = (field & -field) << bit;
  }
}

export class XdmaChannel {
  readonly #hot: Readonly<
    Record<'control' | 'status' | 'interruptEnable' | 'completedCount' | 'halt' | 'creditMode', { value: number }>
  >;
  readonly #walker;
  readonly #engine: DescriptorEngine;
  readonly #path: TransferPath;
  readonly #results: DmaPort;
  readonly #completion: CompletionReporter;
  readonly #moved = { movedBytes: 0, endedPacket: false };
  /** RUN was set again while a descriptor was still in hand. */
  #startsAgain = false;

  constructor(private readonly options: XdmaChannelOptions) {
    const { registers, common, clock, port, link, endpoint, direction, isStream } = options;
    this.#hot = {
      control: registers.register('CONTROL'),
      status: registers.register('STATUS'),
      interruptEnable: registers.register('INTERRUPT_ENABLE'),
      completedCount: registers.register('COMPLETED_COUNT'),
      halt: common.register('DESCRIPTOR_CONTROL'),
      creditMode: common.register('CREDIT_MODE'),
    };
    this.#path = { port: new PostedPort(port('data')), link, endpoint };
    const writesResults = isStream && direction === 'c2h';
    this.#results = new PostedPort(port('write-back'));
    const counts = writesResults ? new PostedPort(port('other')) : this.#results;
    const walker = new ChainWalker(port('descriptor'), CODECS[direction], {
      next: ({ stop, next }) => (stop ? undefined : next),
      adjacent: ({ nextAdjacent }) => nextAdjacent,
    });
    this.#walker = walker;
    this.#engine = new DescriptorEngine({
      clock,
      walker,
      mayRun: () => this.#mayRun,
      started: () => {
        this.#hot.status.value |= BUSY;
        options.onState('running');
      },
      checkFetch: () => this.#checkBlock(),
      execute: () => this.#execute(writesResults),
      completed: () => this.#completed(),
      stopped: () => this.#stopped(),
      failed: (error) => this.#halt(error),
    });
    this.#completion = new CompletionReporter({
      clock,
      writeBack: () => this.#writeCount(counts),
      interrupt: () => this.#drive(),
    });

    registers.onWrite('CONTROL', ({ value, previous }) => {
      if (value & ~previous & RUN) this.#start();
      else if (previous & ~value & RUN) this.#stop();
    });
    registers.onChange('STATUS', () => this.#drive());
    registers.onChange('INTERRUPT_ENABLE', () => this.#drive());
    options.sgdma.onWrite('DESCRIPTOR_CREDITS', ({ data }) => {
      if (!this.#hasCredits) return;
      walker.credits = Math.min(walker.credits + (data & 0x3ff), 0x3ff);
      this.#engine.kick();
    });
    options.sgdma.onRead('DESCRIPTOR_CREDITS', () => (this.#hasCredits ? walker.credits : 0));
    common.onChange('CREDIT_MODE', () => {
      if (this.#hasCredits === Number.isFinite(walker.credits)) return;
      this.#clearCredits();
      this.#engine.kick();
    });
    common.onChange('DESCRIPTOR_CONTROL', () => this.#engine.kick());
  }

  /** The registers have their reset values: drops what is under way. */
  reset(): void {
    this.#engine.abort();
    this.#completion.reset();
    this.#walker.clear();
    this.#startsAgain = false;
    this.#clearCredits();
    this.options.onState('reset');
  }

  get #mayRun(): boolean {
    const { control, halt } = this.#hot;
    return (control.value & RUN) !== 0 && !this.#startsAgain && !this.#isMine(halt.value);
  }

  get #hasCredits(): boolean {
    return this.#isMine(this.#hot.creditMode.value);
  }

  /** Of a register with a bit for each channel. */
  #isMine(channels: number): boolean {
    return ((channels >>> this.options.commonBit) & 1) === 1;
  }

  #clearCredits(): void {
    this.#walker.credits = this.#hasCredits ? 0 : Infinity;
  }

  /** RUN was set. */
  #start(): void {
    this.#hot.status.value &= BUSY;
    this.#hot.completedCount.value = 0;
    this.#drive();
    this.#startsAgain = this.#engine.isRunning;
    if (!this.#startsAgain) this.#begin();
  }

  #begin(): void {
    const { sgdma } = this.options;
    this.#startsAgain = false;
    const address = sgdma.get('DESCRIPTOR_HIGH_ADDRESS') * 2 ** 32 + sgdma.get('DESCRIPTOR_LOW_ADDRESS');
    this.#walker.start(address, sgdma.get('DESCRIPTOR_ADJACENT.COUNT'));
    this.#engine.kick();
  }

  /** RUN was cleared. */
  #stop(): void {
    this.#clearCredits();
    if (!this.#engine.isRunning) this.#log(IDLE_STOPPED);
  }

  #checkBlock(): void {
    const { address, adjacent } = this.#walker;
    const end = address + (1 + adjacent) * XDMA_DESCRIPTOR_BYTES;
    if (Math.floor(address / 4096) === Math.floor((end - 1) / 4096)) return;
    const block = `${1 + adjacent} adjacent descriptors at 0x${address.toString(16)}`;
    throw new ChannelError('DESC_ERROR', `the block of ${block} crosses 4 KiB`);
  }

  *#execute(writesResults: boolean): Generator<Wait, number, void> {
    const { descriptor } = this.#walker;
    this.#checkDescriptor();
    yield* transfer(this.#path, narrowOrder(descriptor, this.options.lengthBits), this.#moved);
    if (writesResults && (this.#hot.control.value & STREAM_WB_DISABLE) === 0) {
      const { cardAddress } = descriptor;
      const { movedBytes, endedPacket } = this.#moved;
      const status = XDMA_STREAM_MAGIC * 2 ** 16 + Number(endedPacket);
      // One store: who sees the magic number sees the length.
      const result = (BigInt(movedBytes) << 32n) | BigInt(status);
      yield* this.#results.write64(cardAddress - (cardAddress % 8), result);
    }
    return this.#moved.movedBytes;
  }

  #checkDescriptor(): void {
    const { isStream, direction, alignment } = this.options;
    const { descriptor, address } = this.#walker;
    const { lengthBytes, hostAddress, cardAddress } = descriptor;
    if (descriptor.magic !== XDMA_MAGIC) {
      const found = `0x${descriptor.magic.toString(16)} at 0x${address.toString(16)}`;
      throw new ChannelError('MAGIC_STOPPED', `its magic number is ${found}`);
    }
    if (isStream) {
      const mayEndAnywhere = direction === 'h2c' && descriptor.endOfPacket;
      const isWrong = lengthBytes % STREAM_BYTES !== 0 && !mayEndAnywhere;
      if (isWrong && (this.#hot.control.value & INVALID_LENGTH) !== 0) {
        throw new ChannelError('INVALID_LENGTH', `a length of ${lengthBytes} is no multiple of ${STREAM_BYTES}`);
      }
    } else if (alignment > 1 && (hostAddress - cardAddress) % alignment !== 0) {
      throw new ChannelError('ALIGN_MISMATCH', `host and card address differ in their offset in ${alignment} bytes`);
    }
  }

  #completed(): void {
    const { status, control, completedCount } = this.#hot;
    const { descriptor, hasNext } = this.#walker;
    completedCount.value = (completedCount.value + 1) >>> 0;
    if (!hasNext) status.value &= ~BUSY;
    const { completed, stop } = descriptor;
    if (!completed && !stop) return;
    status.value = (status.value | (((completed && COMPLETED) | (stop && STOPPED)) & control.value)) >>> 0;
    if (completed) this.#completion.descriptorDone(true);
    else this.#drive();
  }

  #stopped(): void {
    const { status, control } = this.#hot;
    status.value &= ~BUSY;
    this.options.onState('idle');
    if ((control.value & RUN) === 0) this.#log(IDLE_STOPPED);
    if (this.#startsAgain) this.#begin();
  }

  *#halt(error: unknown): Generator<Wait, void, void> {
    const { status, completedCount } = this.#hot;
    const cause = this.#causeOf(error);
    this.#walker.clear();
    status.value &= ~BUSY;
    this.options.onState(`halted: ${cause.code}, descriptor ${completedCount.value}: ${cause.message}`);
    status.value = (status.value | (cause.status & this.#hot.control.value)) >>> 0;
    this.#completion.alert();
    if (this.#startsAgain) this.#begin();
  }

  /** Any exception that is no failure of driver, host memory or card is a model error, and is thrown on. */
  #causeOf(error: unknown): ChannelError {
    if (error instanceof ChannelError) return error;
    if (error instanceof CardAddressError) {
      return new ChannelError(this.options.direction === 'h2c' ? 'WRITE_ERROR' : 'READ_ERROR', error.message);
    }
    if (!(error instanceof DmaError)) throw error;
    const bit = error.reason === 'completer-abort' ? 1 : error.reason === 'poisoned' ? 3 : 0;
    return new ChannelError(this.#walker.isFetched ? 'READ_ERROR' : 'DESC_ERROR', error.message, bit);
  }

  /** Logs what CONTROL enables. */
  #log(event: number): void {
    const { status, control } = this.#hot;
    status.value = (status.value | (event & control.value)) >>> 0;
    this.#drive();
  }

  #drive(): void {
    const { status, interruptEnable } = this.#hot;
    this.options.interrupt((status.value & interruptEnable.value & ~BUSY) !== 0);
  }

  *#writeCount(port: DmaPort): Generator<Wait, void, void> {
    const { status, control, completedCount } = this.#hot;
    if ((control.value & POLL_MODE) === 0) return;
    const { registers } = this.options;
    const address = registers.get('POLL_MODE_HIGH_WB_ADDRESS') * 2 ** 32 + registers.get('POLL_MODE_LOW_WB_ADDRESS');
    const error = (status.value & ERRORS) === 0 ? 0 : 2 ** 31;
    yield* port.write32(address - (address % 4), error + (completedCount.value & 0xff_ffff));
  }
}
