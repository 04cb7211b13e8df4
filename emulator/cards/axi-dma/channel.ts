/**
 * A channel of AXI DMA: with scatter-gather it follows a chain of descriptors up to the tail and writes a status into
 * each, without it moves what its registers say. It halts on the first error, until both channels are reset.
 *
 * Models: AMD PG021, v7.1. That CURDESC of a halted channel is where it goes on, and that a descriptor with an error is
 * complete too, is not said there.
 */
import { type Clock, Process, type Wait } from '../../clock';
import { ChainWalker, DescriptorEngine, type Endpoint, type Link, lowBits, structureCodec, transfer } from '../../dma';
import { DmaError, type DmaPort, type DmaRole, FAILED_COMPLETIONS } from '../../memory';
import { fieldOf, offsetOf, type RegisterView } from '../../registers';
import { ChannelInterrupts } from './interrupts';
import { AXI_DMA_CHANNEL, AXI_DMA_DESCRIPTOR, AXI_DMA_DESCRIPTOR_BYTES } from './registers';

export interface AxiDmaChannelOptions {
  readonly registers: RegisterView<typeof AXI_DMA_CHANNEL>;
  readonly clock: Clock;
  readonly link: Link;
  readonly port: (role: DmaRole) => DmaPort;
  readonly endpoint: Endpoint;
  readonly scatterGather: boolean;
  readonly addressBits: number;
  readonly lengthBits: number;
  /** Of DMACR.IRQ_DELAY. */
  readonly delayUnitNs: number;
  readonly onState: (state: string) => void;
  /** DMACR.RESET has been written. */
  readonly onReset: () => void;
  /** The interrupt output may have changed. */
  readonly drive: () => void;
}

/** Reads and writes descriptors of AXI DMA. */
export const AXI_DMA_DESCRIPTOR_CODEC = structureCodec(
  AXI_DMA_DESCRIPTOR,
  {
    next: 'NXTDESC',
    hostAddress: 'BUFFER_ADDRESS',
    startOfPacket: 'CONTROL.SOF',
    endOfPacket: 'CONTROL.EOF',
    lengthBytes: 'CONTROL.LENGTH',
    isComplete: 'STATUS.CMPLT',
    status: 'STATUS',
  },
  AXI_DMA_DESCRIPTOR_BYTES,
);

const statusBit = (name: 'CMPLT' | 'SOF' | 'EOF' | 'DMA_INT_ERR' | 'DMA_SLV_ERR' | 'DMA_DEC_ERR') =>
  fieldOf(AXI_DMA_DESCRIPTOR, `STATUS.${name}`).mask;
const [CMPLT, SOF, EOF] = (['CMPLT', 'SOF', 'EOF'] as const).map(statusBit) as [number, number, number];
const STATUS_OFFSET = offsetOf(AXI_DMA_DESCRIPTOR, 'STATUS');
const RS = 1;

type DataError = 'DMA_INT_ERR' | 'DMA_SLV_ERR' | 'DMA_DEC_ERR';

/** What stops a channel, by its bit in DMASR. */
class ChannelError extends Error {
  constructor(readonly code: DataError | 'SG_INT_ERR' | 'SG_SLV_ERR' | 'SG_DEC_ERR') {
    super(code);
  }
}

export class AxiDmaChannel {
  readonly #options: AxiDmaChannelOptions;
  readonly #control;
  readonly #status;
  readonly #walker;
  readonly #engine: DescriptorEngine;
  /** A transfer by registers. */
  readonly #simple: Process;
  readonly #descriptorPort: DmaPort;
  readonly #path;
  readonly #result = { movedBytes: 0, endedPacket: false };
  /** Of the descriptor in hand; one object for all. */
  readonly #order = { hostAddress: 0, cardAddress: 0, lengthBytes: 0, endOfPacket: 0 };
  readonly #isS2mm: boolean;
  readonly interrupts: ChannelInterrupts;
  /** Host address of the descriptor in hand. */
  #current = 0;
  /** S2MM: the next byte begins a packet. */
  #isPacketStart = true;
  #isHalted = true;

  constructor(options: AxiDmaChannelOptions) {
    const { registers, clock, link, port, endpoint, scatterGather, addressBits } = options;
    this.#options = options;
    this.#control = registers.register('DMACR');
    this.#status = registers.register('DMASR');
    this.#path = { port: port('data'), link, endpoint };
    this.#isS2mm = 'c2h' in endpoint;
    this.#descriptorPort = port('descriptor');
    this.#simple = new Process(clock);
    this.interrupts = new ChannelInterrupts(registers, clock, options.delayUnitNs, options.drive);
    this.#walker = new ChainWalker(this.#descriptorPort, AXI_DMA_DESCRIPTOR_CODEC, {
      next: ({ next }) => lowBits(next - (next % AXI_DMA_DESCRIPTOR_BYTES), addressBits),
      readsAhead: true,
    });
    this.#engine = new DescriptorEngine({
      clock,
      walker: this.#walker,
      mayRun: () => (this.#control.value & RS) !== 0,
      started: () => this.#enter('running'),
      execute: () => this.#execute(),
      completed: () => this.#completed(),
      stopped: (why) => this.#enter(why === 'no-descriptor' && this.#control.value & RS ? 'idle' : 'halted'),
      failed: (error) => this.#failed(error),
    });
    registers.onWrite('DMACR', ({ previous }) => this.#controlWritten(previous));
    const half = addressBits > 32 ? 'TAILDESC_MSB' : 'TAILDESC';
    if (scatterGather) registers.onWrite(half, () => this.#tailWritten());
    else registers.onWrite('LENGTH', () => this.#lengthWritten());
    for (const name of ['CURDESC', 'CURDESC_MSB'] as const) {
      registers.onWrite(name, ({ previous }) => {
        if (this.#isHalted) this.#current = this.#address('CURDESC');
        else registers.set(name, previous);
      });
    }
    registers.onRead('CURDESC', () => lowBits(this.#current, 32));
    registers.onRead('CURDESC_MSB', () => Math.floor(this.#current / 2 ** 32));
  }

  /** Registers are at their reset values when this is called. */
  reset(): void {
    this.#engine.abort();
    this.#simple.cancel();
    this.#walker.clear();
    this.#current = 0;
    this.#isPacketStart = this.#isHalted = true;
    this.#status.set('SG_INCLD', Number(this.#options.scatterGather));
    this.interrupts.reset();
    this.#options.onState('reset');
  }

  #address(name: 'CURDESC' | 'TAILDESC' | 'ADDRESS'): number {
    const { registers, addressBits } = this.#options;
    return lowBits(registers.get(name) + registers.get(`${name}_MSB`) * 2 ** 32, addressBits);
  }

  #enter(state: 'running' | 'idle' | 'halted', why = ''): void {
    this.#isHalted = state === 'halted';
    this.#status.set('HALTED', Number(this.#isHalted));
    this.#status.set('IDLE', Number(state === 'idle'));
    this.#options.onState(state + why);
  }

  #controlWritten(previous: number): void {
    if (this.#control.get('RESET')) return this.#options.onReset();
    this.interrupts.controlWritten(previous);
    if ((this.#status.value & ERRORS) !== 0) this.#control.set('RS', 0);
    const [was, runs] = [previous & RS, this.#control.value & RS];
    if (runs && this.#isHalted) {
      this.#isHalted = false;
      this.#status.set('HALTED', 0);
      this.#walker.credits = 0; // until the tail is written
      this.#walker.start(this.#current);
    } else if (was && !runs && !this.#engine.isRunning && !this.#simple.isRunning) {
      this.#enter('halted');
    }
  }

  /** Also to where it was: that hands over a whole ring again. While it runs, only the pause point moves. */
  #tailWritten(): void {
    this.#walker.tail = this.#control.get('CYCLIC') ? undefined : this.#tail;
    if ((this.#control.value & RS) === 0) return;
    this.#walker.credits = Infinity;
    if (!this.#engine.isRunning) this.#walker.start(this.#walker.address);
    this.#engine.kick();
  }

  get #tail(): number {
    const tail = this.#address('TAILDESC');
    return tail - (tail % AXI_DMA_DESCRIPTOR_BYTES);
  }

  *#execute(): Generator<Wait, number, void> {
    const { descriptor, address } = this.#walker;
    this.#current = address;
    if (descriptor.isComplete && !this.#control.get('CYCLIC')) throw new ChannelError('SG_INT_ERR');
    const { hostAddress, lengthBytes, endOfPacket } = descriptor;
    let errorBit = 0;
    try {
      yield* this.#move(hostAddress, lengthBytes, endOfPacket);
    } catch (error) {
      const code = dataErrorOf(error);
      errorBit = statusBit(code);
      yield* this.#descriptorPort.write32(address + STATUS_OFFSET, (CMPLT | errorBit | this.#result.movedBytes) >>> 0);
      throw new ChannelError(code);
    }
    const { movedBytes, endedPacket } = this.#result;
    const packet = this.#isS2mm ? (this.#isPacketStart ? SOF : 0) | (endedPacket ? EOF : 0) : 0;
    yield* this.#descriptorPort.write32(address + STATUS_OFFSET, (CMPLT | packet | movedBytes) >>> 0);
    this.#isPacketStart = endedPacket;
    return movedBytes;
  }

  /** What the length register does not hold is dropped. Throws DmaError or ChannelError. */
  *#move(hostAddress: number, lengthBytes: number, endOfPacket: number): Generator<Wait, void, void> {
    const { addressBits, lengthBits } = this.#options;
    const order = this.#order;
    order.hostAddress = lowBits(hostAddress, addressBits);
    order.lengthBytes = lowBits(lengthBytes, lengthBits);
    order.endOfPacket = endOfPacket;
    this.#result.movedBytes = 0;
    if (order.lengthBytes === 0) throw new ChannelError('DMA_INT_ERR');
    yield* transfer(this.#path, order, this.#result);
  }

  #completed(): void {
    if (this.#isS2mm ? this.#result.endedPacket : this.#order.endOfPacket) this.interrupts.packetDone();
  }

  #lengthWritten(): void {
    const { registers, lengthBits } = this.#options;
    const lengthBytes = lowBits(registers.get('LENGTH'), lengthBits);
    registers.set('LENGTH', lengthBytes);
    if ((this.#control.value & RS) === 0 || this.#simple.isRunning || lengthBytes === 0) return;
    this.#enter('running');
    this.#simple.start(this.#transferByRegisters(lengthBytes));
  }

  *#transferByRegisters(lengthBytes: number): Generator<Wait, void, void> {
    yield { delayNs: 0 };
    try {
      yield* this.#move(this.#address('ADDRESS'), lengthBytes, 1);
      if (this.#isS2mm) this.#options.registers.set('LENGTH', this.#result.movedBytes);
      if (this.#isS2mm && !this.#result.endedPacket) throw new ChannelError('DMA_INT_ERR');
    } catch (error) {
      return this.#halt(dataErrorOf(error));
    }
    this.#enter(this.#control.value & RS ? 'idle' : 'halted');
    this.interrupts.raise('IOC_IRQ');
  }

  *#failed(error: unknown): Generator<Wait, void, void> {
    if (error instanceof ChannelError) return this.#halt(error.code);
    this.#current = this.#walker.address;
    this.#halt(dataErrorOf(error) === 'DMA_SLV_ERR' ? 'SG_SLV_ERR' : 'SG_DEC_ERR');
  }

  #halt(code: ChannelError['code']): void {
    this.#control.set('RS', 0);
    this.#status.set(code, 1);
    this.#enter('halted', `: ${code}`);
    this.interrupts.raise('ERR_IRQ');
  }
}

const ERRORS = (['DMA_INT_ERR', 'DMA_SLV_ERR', 'DMA_DEC_ERR', 'SG_INT_ERR', 'SG_SLV_ERR', 'SG_DEC_ERR'] as const)
  .map((name) => fieldOf(AXI_DMA_CHANNEL, `DMASR.${name}`).mask)
  .reduce((all, mask) => all | mask);

/** Throws what is not an error of the channel. */
function dataErrorOf(error: unknown): DataError {
  if (error instanceof ChannelError) return error.code as DataError;
  if (!(error instanceof DmaError)) throw error;
  return FAILED_COMPLETIONS.some((reason) => reason === error.reason) ? 'DMA_SLV_ERR' : 'DMA_DEC_ERR';
}
