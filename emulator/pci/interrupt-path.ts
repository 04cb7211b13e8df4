/**
 * The path of a card's interrupts out of its model: first the interrupt is published as raised; then it passes the stages
 * that tools insert, such as injected faults; then the function's own masks.
 */
import { StageChain } from '../memory';
import { type CardEvents } from './card-events';
import { type InterruptController, type InterruptMode } from './interrupt-controller';
import { Irq } from './vfio-layout';

/** What a stage can change: messages, and the level of the INTx line. */
export type InterruptStage = Pick<InterruptController, 'signal' | 'setIntx'>;

export class InterruptPath extends StageChain<InterruptStage> implements InterruptController {
  #asserted = false;

  constructor(
    private readonly controller: InterruptController,
    private readonly events: CardEvents,
  ) {
    super(controller);
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
    this.top.signal(vector);
  }

  setIntx(asserted: boolean): void {
    // A card may drive INTx in any mode; while messages are enabled it is not published.
    if (asserted !== this.#asserted && (!asserted || this.mode === 'intx')) {
      this.#asserted = asserted;
      const phase = asserted ? 'raised' : 'lowered';
      this.events.publish({ kind: 'interrupt', phase, index: Irq.INTX, vector: 0 });
    }
    this.top.setIntx(asserted);
  }

  reportError(): void {
    this.controller.reportError();
  }

  requestRelease(): void {
    this.controller.requestRelease();
  }

  /** The function has been reset: INTx is deasserted. */
  reset(): void {
    this.#asserted = false;
  }
}
