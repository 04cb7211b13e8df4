/**
 * When a channel of AXI DMA interrupts: after a number of packets, a time after the last of them, or on an error. The
 * status bits stay until the driver clears them, and the output is 1 while one is set that is enabled.
 *
 * Models: AMD PG021, IRQThreshold and IRQDelay of DMACR, and the three interrupts in DMASR.
 */
import { type Clock, type ScheduledTask } from '../../clock';
import { fieldOf, type RegisterView } from '../../registers';
import { AXI_DMA_CHANNEL } from './registers';

const IRQS = ['IOC_IRQ', 'DLY_IRQ', 'ERR_IRQ'] as const;
const IRQ_MASK = IRQS.reduce((mask, name) => mask | fieldOf(AXI_DMA_CHANNEL, `DMASR.${name}`).mask, 0);

export class ChannelInterrupts {
  readonly #control;
  readonly #status;
  /** Packets until the threshold is reached. */
  #left = 1;
  #timer: ScheduledTask | undefined;

  /** @param unitNs of DMACR.IRQ_DELAY. @param drive the output may have changed */
  constructor(
    registers: RegisterView<typeof AXI_DMA_CHANNEL>,
    private readonly clock: Clock,
    private readonly unitNs: number,
    private readonly drive: () => void,
  ) {
    this.#control = registers.register('DMACR');
    this.#status = registers.register('DMASR');
    registers.onRead('DMASR', (stored) => (stored | (this.#left << 16)) >>> 0);
    registers.onWrite('DMASR', drive);
  }

  /** The level of the output; enable bits are where the status bits are. */
  get isAsserted(): boolean {
    return (this.#control.value & this.#status.value & IRQ_MASK) !== 0;
  }

  /** DMACR has been written: a new threshold counts from now on. */
  controlWritten(previous: number): void {
    if (this.#control.get('IRQ_THRESHOLD') === 0) {
      this.#control.set('IRQ_THRESHOLD', (previous >>> 16) & 0xff);
    } else if (((this.#control.value ^ previous) >>> 16) & 0xff) {
      this.#left = this.#control.get('IRQ_THRESHOLD');
    }
    this.drive();
  }

  packetDone(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (--this.#left <= 0) return this.raise('IOC_IRQ');
    const delay = this.#control.get('IRQ_DELAY');
    if (delay > 0) this.#timer = this.clock.after(delay * this.unitNs, () => this.raise('DLY_IRQ'));
  }

  raise(irq: (typeof IRQS)[number]): void {
    if (irq !== 'ERR_IRQ') this.reset();
    this.#status.set(irq, 1);
    this.drive();
  }

  /** Counts from the threshold again. */
  reset(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#left = this.#control.get('IRQ_THRESHOLD');
  }
}
