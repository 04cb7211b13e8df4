/**
 * Reports completed work to the driver: what is written back, then the interrupt, subject to moderation. One report is in
 * progress at a time, so that a later state never overtakes an earlier one on its way to host memory.
 */
import { type Clock, Process, type Wait } from '../clock';
import { DmaError } from '../memory';
import { InterruptModeration } from './moderation';

/** How completed work is reported. */
export interface CompletionOptions {
  readonly clock: Clock;
  /** Writes the state of now to host memory: a head index, a completion word, a whole block. Default: nothing. */
  readonly writeBack?: () => Generator<Wait, void, void>;
  /** Default: an interrupt for each completion that requests one. */
  readonly moderation?: () => { count: number; timeoutUs: number };
  /** Raises it. */
  readonly interrupt: () => void;
}

/** Reports completed work to the driver: the write-back first, then the interrupt, subject to moderation. */
export class CompletionReporter {
  readonly #process: Process;
  readonly #moderation: InterruptModeration;
  /** Work left for the process. */
  #reportDue = false;
  #interruptDue = false;
  /** Something has completed since the last write-back. */
  #hasUnreported = false;

  constructor(private readonly options: CompletionOptions) {
    const { clock, moderation = () => ({ count: 1, timeoutUs: 0 }) } = options;
    this.#process = new Process(clock);
    this.#moderation = new InterruptModeration(clock, moderation, () => this.#request(true));
  }

  /** A descriptor is complete; whether it requests an interrupt. */
  descriptorDone(asksForInterrupt: boolean): void {
    this.#hasUnreported = true;
    if (asksForInterrupt) this.#moderation.completed();
  }

  /** Nothing is left for now: a driver that polls memory must see the final state. */
  idle(): void {
    if (this.#hasUnreported) this.#request(false);
  }

  /** The state has changed without a completion: it is written back, without an interrupt. */
  refresh(): void {
    this.#request(false);
  }

  /** Interrupts at once, without moderation. */
  alert(): void {
    this.#moderation.fireNow();
  }

  /** Forgets what has not been reported. */
  reset(): void {
    this.#process.cancel();
    this.#moderation.clear();
    this.#reportDue = this.#interruptDue = this.#hasUnreported = false;
  }

  /** Requests during a report are part of the next one. */
  #request(interrupt: boolean): void {
    this.#reportDue = true;
    this.#interruptDue ||= interrupt;
    if (!this.#process.isRunning) this.#process.start(this.#report());
  }

  *#report(): Generator<Wait, void, void> {
    while (this.#reportDue) {
      const interrupt = this.#interruptDue;
      this.#reportDue = this.#interruptDue = this.#hasUnreported = false;
      try {
        if (this.options.writeBack) yield* this.options.writeBack();
      } catch (error) {
        // Registers say the same; a card that cannot write its state back has no other way to report it.
        if (!(error instanceof DmaError)) throw error;
      }
      if (interrupt) this.options.interrupt();
    }
  }
}
