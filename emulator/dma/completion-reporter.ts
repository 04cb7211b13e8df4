/**
 * What a driver is told of completed work: the write-back block, then, moderated, the interrupt. One report is under way
 * at a time, so that a later state never overtakes an earlier one on its way to host memory.
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
  /** What the process still has to do. */
  #reportDue = false;
  #interruptDue = false;
  /** Something has completed since the last write-back. */
  #hasUnreported = false;

  constructor(private readonly options: CompletionOptions) {
    this.#process = new Process(options.clock);
    this.#moderation = new InterruptModeration(options.clock, options.moderation, () => this.#request(true));
  }

  /** A descriptor is complete, and asks for an interrupt or not. */
  descriptorDone(asksForInterrupt: boolean): void {
    this.#hasUnreported = true;
    if (asksForInterrupt) this.#moderation.completed();
  }

  /** There is nothing more to do for now: a driver that polls the write-back block is to see the end. */
  idle(): void {
    if (this.#hasUnreported) this.#request(false);
  }

  /** The state has changed without a completion: the write-back block follows, without an interrupt. */
  refresh(): void {
    this.#request(false);
  }

  /** Something the driver must know at once, whatever the moderation. */
  alert(): void {
    this.#moderation.fireNow();
  }

  reset(): void {
    this.#process.cancel();
    this.#moderation.clear();
    this.#reportDue = this.#interruptDue = this.#hasUnreported = false;
  }

  /** What is asked for while a report is under way comes with the next. */
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
      // The registers tell the same; a card that cannot reach its write-back block has no better way to say so.
      if (!(error instanceof DmaError)) throw error;
    }
  }
}
