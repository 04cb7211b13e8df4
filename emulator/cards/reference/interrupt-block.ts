/**
 * The card's interrupt registers: sources are latched in IRQ_STATUS and gated by IRQ_ENABLE.
 *
 * INTx is a level: asserted while an enabled source is latched, so a driver acknowledges in IRQ_STATUS. MSI and MSI-X are
 * messages: one for each time that an enabled source is raised, whether it has been acknowledged or not.
 */
import { type InterruptController } from '../../pci';
import { IRQ_SOURCES, type ReferenceRegisters } from './registers';

/** A bit for every source that there is. */
const IMPLEMENTED = Object.values(IRQ_SOURCES).reduce<number>((bits, source) => bits | (1 << source), 0);

export class InterruptBlock {
  constructor(
    private readonly registers: ReferenceRegisters,
    private readonly controller: InterruptController,
  ) {
    registers.onWrite('IRQ_STATUS', () => this.#driveLine());
    registers.onWrite('IRQ_ENABLE', ({ value, previous }) => {
      const newlyEnabled = value & ~previous & registers.get('IRQ_STATUS');
      this.#deliver(newlyEnabled);
    });
    registers.onWrite('IRQ_TRIGGER', ({ data }) => this.#raise(data & IMPLEMENTED));
  }

  /** Raises source `source` (bit number). */
  raise(source: number): void {
    this.#raise(1 << source);
  }

  /** After the registers have been reset: the line follows. */
  reset(): void {
    this.#driveLine();
  }

  #raise(sources: number): void {
    const { registers } = this;
    registers.set('IRQ_STATUS', registers.get('IRQ_STATUS') | sources);
    this.#deliver(sources & registers.get('IRQ_ENABLE'));
  }

  #deliver(sources: number): void {
    const { registers, controller } = this;
    for (let source = 0; sources >>> source !== 0; source++) {
      if (((sources >>> source) & 1) === 0) continue;
      registers.set('IRQ_COUNT', (registers.get('IRQ_COUNT') + 1) >>> 0);
      controller.signal(source);
    }
    this.#driveLine();
  }

  #driveLine(): void {
    const { registers, controller } = this;
    controller.setIntx((registers.get('IRQ_STATUS') & registers.get('IRQ_ENABLE')) !== 0);
  }
}
