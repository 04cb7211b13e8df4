/**
 * A channel of I/OAT: follows a chain of descriptors as far as DMACOUNT says, copies or fills host memory, writes its
 * status to host memory and interrupts. It halts on the first error, with the cause in CHANERR, and goes on with a new
 * chain when the driver has cleared that.
 *
 * Models: what Linux' ioatdma and DPDK's ioat driver rely on (registers.ts), among it that a write of CHAINADDR begins a
 * new count in any state but ACTIVE, and that a reset leaves the channel HALTED, with CHANERR as it was.
 */
import { type Clock, type Wait } from '../../clock';
import {
  ChainWalker,
  CompletionReporter,
  DescriptorEngine,
  HostCopier,
  type Link,
  lowBits,
  type StructureCodec,
} from '../../dma';
import { DmaError, type DmaPort, type DmaRole, FAILED_COMPLETIONS } from '../../memory';
import { type RegisterView } from '../../registers';
import { IOAT_DESCRIPTOR_BYTES, IOAT_DESCRIPTOR_CODEC, IOAT_OPERATIONS } from './descriptor';
import { CHANNEL_ERRORS, CHANNEL_STATES, type ChannelError, type IOAT_CHANNEL } from './registers';

export interface IoatChannelOptions {
  readonly registers: RegisterView<typeof IOAT_CHANNEL>;
  readonly clock: Clock;
  readonly link: Link;
  readonly port: (role: DmaRole) => DmaPort;
  /** Log2 of the longest transfer. */
  readonly transferBits: number;
  /** Bits of a descriptor's size that the engine counts; above they are dropped without a word. */
  readonly lengthBits: number;
  /** An interrupt that is due while INT_DISABLE is set is lost. Otherwise it is sent when the driver clears the bit. */
  readonly losesInterrupts: boolean;
  readonly interruptDelayUs: () => number;
  readonly interrupt: () => void;
  readonly onState: (state: string) => void;
  readonly onError: (bit: number) => void;
}

type State = keyof typeof CHANNEL_STATES;
type Fields = typeof IOAT_DESCRIPTOR_CODEC extends StructureCodec<infer K> ? K : never;

/** A descriptor that cannot be fetched or executed. */
class DescriptorError extends Error {
  constructor(readonly code: ChannelError) {
    super(code);
  }
}

export class IoatChannel {
  readonly #options: IoatChannelOptions;
  readonly #status;
  readonly #control;
  readonly #walker: ChainWalker<Fields>;
  readonly #copier: HostCopier;
  readonly #engine: DescriptorEngine;
  readonly #completionPort: DmaPort;
  readonly #reporter: CompletionReporter;
  #state: State = 'HALTED';
  #isSuspending = false;
  /** Host address of the last descriptor that was completed; 0: none of this chain. */
  #completed = 0;
  /** How many of the chain were, modulo 65536. */
  #count = 0;
  #completionAddress = 0;
  /** An interrupt is due, and INT_DISABLE is set. */
  #isHeld = false;
  /** What the engine is doing, which tells what an address is for that cannot be accessed. */
  #step: 'fetch' | 'data' | 'completion' = 'fetch';

  constructor(options: IoatChannelOptions) {
    const { registers, clock, link, port } = options;
    this.#options = options;
    this.#status = registers.register('CHANSTS');
    this.#control = registers.register('CHANCTRL');
    this.#copier = new HostCopier(port('data'), link);
    this.#completionPort = port('write-back');
    const walker = (this.#walker = new ChainWalker(port('descriptor'), IOAT_DESCRIPTOR_CODEC, {
      next: ({ next }) => next,
      readsAhead: true,
    }));
    this.#engine = new DescriptorEngine({
      clock,
      walker,
      mayRun: () => this.#state === 'ACTIVE' && !this.#isSuspending,
      started: () => {},
      checkFetch: () => this.#checkFetch(),
      execute: () => this.#execute(),
      completed: () => {
        this.#count = (this.#count + 1) & 0xffff;
        this.#reporter.descriptorDone(walker.descriptor.interrupt === 1);
      },
      stopped: () => this.#enter(this.#isSuspending ? 'SUSPENDED' : 'IDLE'),
      failed: (error) => this.#halt(this.#codeOf(error)),
    });
    this.#reporter = new CompletionReporter({
      clock,
      moderation: () => {
        const timeoutUs = options.interruptDelayUs();
        return { count: timeoutUs > 0 ? Infinity : 1, timeoutUs };
      },
      interrupt: () => this.#interrupt(),
    });
    registers.onWrite('CHAINADDR', ({ value }) => this.#startChain(Number(value)));
    registers.onWrite('CHANCMP', ({ value }) => (this.#completionAddress = Number(value & ~7n)));
    registers.onWrite('DMACOUNT', () => this.#handOver());
    registers.onWrite('CHANCMD', ({ value }) => this.#command(value));
    registers.onWrite('CHANCTRL', () => {
      if (this.#isHeld && this.#control.get('INT_DISABLE') === 0) this.#interrupt();
    });
    registers.onRead('CDAR', () => BigInt(walker.address));
  }

  /** Halted, and nothing under way. CHANERR and its mask stay. */
  reset(): void {
    const { registers } = this.#options;
    this.#engine.abort();
    this.#walker.clear();
    this.#reporter.reset();
    this.#completed = this.#count = this.#completionAddress = this.#walker.credits = 0;
    this.#isSuspending = this.#isHeld = false;
    for (const name of ['CHANCTRL', 'CHANCMD', 'DMACOUNT', 'DCACTRL'] as const) registers.set(name, 0);
    for (const name of ['CHAINADDR', 'CHANCMP'] as const) registers.set(name, 0n);
    this.#enter('HALTED');
  }

  #startChain(address: number): void {
    const { registers } = this.#options;
    if (this.#state === 'ACTIVE' || registers.get('CHANERR') !== 0) return;
    this.#walker.start(address);
    this.#completed = this.#count = this.#walker.credits = 0;
    this.#isSuspending = false;
    registers.set('DMACOUNT', 0);
    this.#enter('ARMED');
  }

  #handOver(): void {
    this.#walker.credits = (this.#options.registers.get('DMACOUNT') - this.#count) & 0xffff;
    if (this.#state === 'ARMED' || this.#state === 'IDLE' || this.#state === 'ACTIVE') this.#goOn();
  }

  #goOn(): void {
    if (!this.#walker.hasNext) return;
    this.#enter('ACTIVE');
    this.#engine.kick();
  }

  #command(command: number): void {
    const { registers } = this.#options;
    registers.set('CHANCMD', 0);
    switch (command) {
      case COMMANDS.SUSPEND:
        if (this.#state === 'ACTIVE') this.#isSuspending = true;
        if (!this.#engine.isRunning && (this.#state === 'ACTIVE' || this.#state === 'IDLE')) this.#enter('SUSPENDED');
        return;
      case COMMANDS.RESUME:
        this.#isSuspending = false;
        if (this.#state !== 'SUSPENDED') return;
        this.#enter('IDLE');
        return this.#goOn();
      case COMMANDS.ABORT:
        this.#engine.abort();
        return this.#enter('HALTED');
      case COMMANDS.RESET:
        return this.reset();
      case 0:
        return;
      default:
        this.#engine.abort();
        this.#showError('CHANCMD');
    }
  }

  #checkFetch(): void {
    this.#step = 'fetch';
    if (this.#walker.address % IOAT_DESCRIPTOR_BYTES === 0) return;
    throw new DescriptorError(this.#completed === 0 ? 'CHAIN_ADDRESS_VALUE' : 'DESCRIPTOR_ALIGNMENT');
  }

  *#execute(): Generator<Wait, number, void> {
    const { transferBits, lengthBits } = this.#options;
    const { descriptor, address, credits } = this.#walker;
    const sizeBytes = descriptor.isNull ? 0 : lowBits(descriptor.sizeBytes, lengthBits);
    if (!descriptor.isNull) {
      this.#step = 'data';
      const { operation, destination } = descriptor;
      if (descriptor.sizeBytes === 0 || descriptor.sizeBytes > 2 ** transferBits) {
        throw new DescriptorError('DESCRIPTOR_LENGTH');
      }
      if (operation === IOAT_OPERATIONS.COPY) yield* this.#copier.copy(descriptor.source, destination, sizeBytes);
      else if (operation === IOAT_OPERATIONS.FILL) {
        yield* this.#copier.fill(descriptor.exact('source'), destination, sizeBytes);
      } else throw new DescriptorError('DESCRIPTOR_CONTROL');
    }
    this.#completed = address;
    const status = BigInt(address + (credits > 1 ? CHANNEL_STATES.ACTIVE : CHANNEL_STATES.IDLE));
    this.#status.value = status;
    if (descriptor.reportsCompletion) {
      this.#step = 'completion';
      yield* this.#completionPort.write64(this.#completionAddress, status);
    }
    return sizeBytes;
  }

  /** The cause of a failed access. Any other exception is a model error, and is thrown on. */
  #codeOf(error: unknown): ChannelError {
    if (error instanceof DescriptorError) return error.code;
    if (!(error instanceof DmaError)) throw error;
    const { access, reason } = error;
    if (this.#step === 'completion') return 'COMPLETION_ADDRESS';
    if (ON_ITS_WAY.has(reason)) return access === 'read' ? 'READ_DATA' : 'WRITE_DATA';
    if (this.#step === 'fetch') return 'NEXT_ADDRESS';
    return access === 'read' ? 'SOURCE_ADDRESS' : 'DESTINATION_ADDRESS';
  }

  *#halt(code: ChannelError): Generator<Wait, void, void> {
    const { registers } = this.#options;
    this.#showError(code);
    if (this.#control.get('ERR_COMPLETION_EN') && code !== 'COMPLETION_ADDRESS') {
      try {
        yield* this.#completionPort.write64(this.#completionAddress, this.#status.value);
      } catch (error) {
        if (!(error instanceof DmaError)) throw error;
        this.#showError('COMPLETION_ADDRESS');
      }
    }
    const unmasked = registers.get('CHANERR') & ~registers.get('CHANERRMSK');
    if (this.#control.get('ERR_INT_EN') && unmasked !== 0) this.#reporter.alert();
  }

  #showError(code: ChannelError): void {
    const { registers, onError } = this.#options;
    const bit = (1 << CHANNEL_ERRORS[code]) >>> 0;
    registers.set('CHANERR', (registers.get('CHANERR') | bit) >>> 0);
    onError(bit);
    this.#enter('HALTED', `halted: ${code}, descriptor 0x${this.#walker.address.toString(16)}`);
  }

  #enter(state: State, words = state === 'ACTIVE' ? 'running' : state.toLowerCase()): void {
    this.#status.value = BigInt(this.#completed + CHANNEL_STATES[state]);
    if (state === this.#state) return;
    this.#state = state;
    this.#options.onState(words);
  }

  #interrupt(): void {
    this.#isHeld = this.#control.get('INT_DISABLE') === 1 && !this.#options.losesInterrupts;
    if (this.#control.get('INT_DISABLE') === 1) return;
    this.#control.set('INT_DISABLE', 1);
    this.#options.interrupt();
  }
}

const COMMANDS = { SUSPEND: 1 << 2, ABORT: 1 << 3, RESUME: 1 << 4, RESET: 1 << 5 } as const;

/** What becomes of an access that has left the card; of all others, the card knows that there is nothing to access. */
const ON_ITS_WAY: ReadonlySet<string> = new Set([...FAILED_COMPLETIONS, 'bus-master-off', 'client-error']);
