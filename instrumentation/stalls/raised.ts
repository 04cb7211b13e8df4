/** Interrupts that the card has raised and the client has not been told of, with what keeps them. */
import { type HeldReason, type InterruptPhase } from '../../emulator/pci';

export interface RaisedInterrupt {
  readonly index: number;
  readonly vector: number;
  /** Device time, of the first time if it was raised again meanwhile. */
  readonly sinceNs: number;
  /** Undefined: it has got lost on its way out of the card. */
  reason: HeldReason | undefined;
  /** The declared fault that has taken it. */
  fault: string | undefined;
}

export class RaisedInterrupts {
  readonly #waiting = new Map<number, RaisedInterrupt>();
  #last: RaisedInterrupt | undefined;

  /** Oldest first. */
  get all(): IterableIterator<RaisedInterrupt> {
    return this.#waiting.values();
  }

  get isEmpty(): boolean {
    return this.#waiting.size === 0;
  }

  saw(phase: InterruptPhase, index: number, vector: number, reason: HeldReason | undefined, nowNs: number): void {
    const key = index * 65_536 + vector;
    if (phase === 'delivered' || phase === 'lowered') {
      this.#waiting.delete(key);
      return;
    }
    let raised = this.#waiting.get(key);
    if (raised === undefined) {
      raised = { index, vector, sinceNs: nowNs, reason: undefined, fault: undefined };
      this.#waiting.set(key, raised);
    }
    raised.reason = reason;
    this.#last = raised;
  }

  /** A fault has fired: on the interrupt that was raised last, if that is what is going on. */
  fault(name: string, nowNs: number): void {
    if (this.#last?.sinceNs === nowNs) this.#last.fault ??= name;
  }

  /** The driver uses another kind of interrupt, or the card has been reset: what was pending is no more. */
  forget(): void {
    this.#waiting.clear();
    this.#last = undefined;
  }
}
