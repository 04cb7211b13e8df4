/**
 * What a card's interrupts go through on their way out of its model: where it is published that the card has raised one,
 * and where faults are put in, between that and the function's own masks.
 */
import { type CardEvents } from './card-events';
import { type InterruptController, type InterruptMode } from './interrupt-controller';
import { Irq } from './vfio-layout';

/** What can be interfered with: messages, and the level of the line. */
export type InterruptStage = Pick<InterruptController, 'signal' | 'setIntx'>;

export class InterruptPath implements InterruptController {
  #next: InterruptStage;
  #asserted = false;

  constructor(
    private readonly controller: InterruptController,
    private readonly events: CardEvents,
  ) {
    this.#next = controller;
  }

  get mode(): InterruptMode {
    return this.controller.mode;
  }

  signal(vector: number): void {
    const { mode } = this.controller;
    if (mode === 'msix' || mode === 'msi') {
      const index = mode === 'msix' ? Irq.MSIX : Irq.MSI;
      this.events.publish({ kind: 'interrupt', phase: 'raised', index, vector });
    }
    this.#next.signal(vector);
  }

  setIntx(asserted: boolean): void {
    // A card drives its line in any mode; while messages are enabled it is not published.
    if (asserted !== this.#asserted && (!asserted || this.mode === 'intx')) {
      this.#asserted = asserted;
      const phase = asserted ? 'raised' : 'lowered';
      this.events.publish({ kind: 'interrupt', phase, index: Irq.INTX, vector: 0 });
    }
    this.#next.setIntx(asserted);
  }

  reportError(): void {
    this.controller.reportError();
  }

  requestRelease(): void {
    this.controller.requestRelease();
  }

  /** Puts a stage between the card and everything that has been there before. */
  insert(make: (below: InterruptStage) => InterruptStage): void {
    this.#next = make(this.#next);
  }

  /** The function has been reset: its line is down. */
  reset(): void {
    this.#asserted = false;
  }
}
