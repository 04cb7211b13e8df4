/**
 * The engine that every descriptor machine has: it takes descriptors from a walker and has each one executed, until there
 * is none, it may run no longer, or one has failed. What descriptors say, what is written back and which registers show
 * it is the author's.
 */
import { type Clock, Process, type Wait } from '../clock';
import { type DescriptorWalker } from './walker';

/** The engine yields to register accesses after this much work, counted in bytes. */
const quantumBytes = 1 << 20;
/** What a descriptor counts for besides its bytes. */
const descriptorOverheadBytes = 1024;

/** What an engine works with, and what it does with a descriptor. */
export interface DescriptorEngineOptions {
  readonly clock: Clock;
  readonly walker: DescriptorWalker;
  /** Asked before each descriptor: the run bit is set, no error is pending. */
  readonly mayRun: () => boolean;
  /** The engine is about to look for descriptors: registers are taken over. What was fetched ahead is discarded then. */
  readonly begin?: () => void;
  /** There is a descriptor: the engine is busy. */
  readonly started: () => void;
  /** Throws, when a descriptor must not be fetched from where the walker points to. */
  readonly checkFetch?: () => void;
  /** Does what the descriptor in hand says, and writes back its status. Returns the bytes that it was about. */
  readonly execute: () => Generator<Wait, number, void>;
  /** The descriptor is complete, and the walker has advanced. */
  readonly completed: () => void;
  /** There is no descriptor left for now, or the engine may run no longer. */
  readonly stopped: (why: 'no-descriptor' | 'not-running') => void;
  /** Something was thrown on the way; throws what is no failure of the driver, host memory or the card. */
  readonly failed: (error: unknown) => Generator<Wait, void, void>;
}

/** Takes descriptors from a walker and has each one executed, until there is none, it is stopped, or one fails. */
export class DescriptorEngine {
  readonly #process: Process;
  #isScheduled = false;

  constructor(private readonly options: DescriptorEngineOptions) {
    this.#process = new Process(options.clock);
  }

  get isRunning(): boolean {
    return this.#process.isRunning;
  }

  /** A doorbell: the engine starts, if it may, as soon as the access that caused it has ended. */
  kick(): void {
    if (this.#isScheduled || this.#process.isRunning) return;
    this.#isScheduled = true;
    this.options.clock.after(0, () => {
      this.#isScheduled = false;
      if (!this.#process.isRunning && this.options.mayRun()) this.#process.start(this.#run());
    });
  }

  /** Drops what is under way where it is; nothing of it is completed or reported. */
  abort(): void {
    this.#process.cancel();
    this.options.walker.discardFetched();
  }

  *#run(): Generator<Wait, void, void> {
    const { walker, mayRun, begin, started, stopped, failed } = this.options;
    do {
      begin?.();
      walker.discardFetched();
      if (!walker.hasNext) return;
      started();
      try {
        yield* this.#drain();
        if (!this.#process.isRunning) return; // aborted by whoever was notified of a completion
        stopped(walker.hasNext ? 'not-running' : 'no-descriptor');
      } catch (error) {
        yield* failed(error);
      }
      // While it failed, the error may have been cleared and the doorbell rung.
    } while (this.#process.isRunning && walker.hasNext && mayRun());
  }

  /** One descriptor after the other. */
  *#drain(): Generator<Wait, void, void> {
    const { walker, mayRun, checkFetch, execute, completed } = this.options;
    let work = 0;
    while (walker.hasNext && mayRun()) {
      if (!walker.isFetched) {
        checkFetch?.();
        yield* walker.fetch();
      }
      walker.take();
      work += (yield* execute()) + descriptorOverheadBytes;
      walker.advance();
      completed();
      if (!this.#process.isRunning) return;
      if (work < quantumBytes) continue;
      work = 0;
      yield { delayNs: 0 };
    }
  }
}
