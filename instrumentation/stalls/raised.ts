/** Interrupts that the card has raised and the client has not received, with the reason. */
import { type HeldReason, type InterruptPhase } from '../../emulator/pci';

export interface RaisedInterrupt {
  readonly index: number;
  readonly vector: number;
  /** Device time when it was first raised. */
  readonly sinceNs: number;
  /** Undefined: it was lost on its way out of the card. */
  reason: HeldReason | undefined;
  /** The injected fault that has dropped it. */
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
    if (phase === 'sent' || phase === 'lowered') {
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

  /** A fault has fired: on the interrupt that was raised last, if that was just now. */
  fault(name: string, nowNs: number): void {
    if (this.#last?.sinceNs === nowNs) this.#last.fault ??= name;
  }

  /** The driver uses another kind of interrupt, or the card was reset: nothing is pending any more. */
  forget(): void {
    this.#waiting.clear();
    this.#last = undefined;
  }
}
