/**
 * The path of a card's interrupts out of its model: the interrupt is published as raised, and changes the state of the
 * function (a pending bit, Interrupt Status). What leaves the function then passes the stages that tools insert, such as
 * injected faults, on its way to the client.
 */
import { StageChain } from '../memory';
import { type CardEvents } from './card-events';
import { type FunctionInterrupts, type InterruptController, type InterruptMode } from './interrupt-controller';
import { type Intx } from './intx';
import { Irq } from './vfio-layout';

/** What a stage can change: messages on their way, and the level of the INTx line. */
export type InterruptStage = Pick<InterruptController, 'signal' | 'setIntx'>;

export class InterruptPath extends StageChain<InterruptStage> implements InterruptController {
  #asserted = false;

  constructor(
    private readonly controller: FunctionInterrupts,
    private readonly events: CardEvents,
  ) {
    super({
      signal: (vector) => controller.deliver(vector),
      setIntx: (asserted) => controller.setIntx(asserted),
    });
    controller.send = (vector) => this.top.signal(vector);
  }

  /** The line as the client sees it. */
  get intx(): Intx {
    return this.controller.intx;
  }

  get mode(): InterruptMode {
    return this.controller.mode;
  }

  get vectors(): number {
    return this.controller.vectors;
  }

  signal(vector: number): void {
    const { mode } = this.controller;
    if (mode === 'msix' || mode === 'msi') {
      const index = mode === 'msix' ? Irq.MSIX : Irq.MSI;
      this.events.publish({ kind: 'interrupt', phase: 'raised', index, vector });
    }
    this.controller.signal(vector);
  }

  setIntx(asserted: boolean): void {
    // A card may drive INTx in any mode; while messages are enabled it is not published.
    if (asserted !== this.#asserted && (!asserted || this.mode === 'intx')) {
      this.#asserted = asserted;
      const phase = asserted ? 'raised' : 'lowered';
      this.events.publish({ kind: 'interrupt', phase, index: Irq.INTX, vector: 0 });
    }
    this.controller.intx.status = asserted;
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
