/**
 * Reports completed work to the driver: the write-back block, then the interrupt, subject to moderation. One report is in
 * progress at a time, so that a later state never overtakes an earlier one on its way to host memory.
 */
import { type Clock, Process, type Wait } from '../clock';
import { DmaError, type DmaPort } from '../memory';
import { InterruptModeration } from './moderation';
import { writeBack, type WriteBackState } from './write-back';

export interface CompletionOptions {
  readonly clock: Clock;
  readonly port: DmaPort;
  /** Host address of the write-back block; undefined: there is none. */
  readonly writeBackAddress: () => number | undefined;
  readonly state: () => WriteBackState;
  readonly moderation: () => { count: number; timeoutUs: number };
  readonly interrupt: () => void;
}

export class CompletionReporter {
  readonly #process: Process;
  readonly #moderation: InterruptModeration;
  /** Work left for the process. */
  #reportDue = false;
  #interruptDue = false;
  /** Something has completed since the last write-back. */
  #hasUnreported = false;

  constructor(private readonly options: CompletionOptions) {
    this.#process = new Process(options.clock);
    this.#moderation = new InterruptModeration(options.clock, options.moderation, () => this.#request(true));
  }

  /** A descriptor is complete; whether it requests an interrupt. */
  descriptorDone(asksForInterrupt: boolean): void {
    this.#hasUnreported = true;
    if (asksForInterrupt) this.#moderation.completed();
  }

  /** The ring is empty for now: a driver that polls the write-back block must see the final state. */
  idle(): void {
    if (this.#hasUnreported) this.#request(false);
  }

  /** The state has changed without a completion: the write-back block follows, without an interrupt. */
  refresh(): void {
    this.#request(false);
  }

  /** Interrupts at once, without moderation. */
  alert(): void {
    this.#moderation.fireNow();
  }

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
      yield* this.#writeBack();
      if (interrupt) this.options.interrupt();
    }
  }

  *#writeBack(): Generator<Wait, void, void> {
    const { port, writeBackAddress, state } = this.options;
    const address = writeBackAddress();
    if (address === undefined) return;
    try {
      yield* writeBack(port, address, state());
    } catch (error) {
      // The registers have the same values; a card that cannot write its write-back block has no other way to report it.
      if (!(error instanceof DmaError)) throw error;
    }
  }
}
