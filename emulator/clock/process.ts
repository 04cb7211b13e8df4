/**
 * A hardware process: sequential behaviour that waits, written as a generator, as a VHDL or SystemC process is.
 *
 * It yields what it waits for: a delay in device time, the end of a DMA access, a subscription that calls back (a stream
 * that has room again), or a promise. Unlike an async function it goes on in the very call that fulfils the wait, not in
 * a later microtask, so it makes progress while the server stays in its message loop. A reset can discard it at any wait.
 */
import { type Clock } from './clock';

/**
 * What a process waits for: a delay in device time; something that ends once, such as a DMA access, which has ended well
 * or calls back when it ends; a subscription; a promise.
 */
export type Wait =
  | { readonly delayNs: number }
  | {
      readonly isDone: boolean;
      /** Calls one of the two when it ends. */
      onSettled(done: () => void, failed: (error: unknown) => void): void;
    }
  | ((resume: () => void) => void)
  | Promise<void>;

/** Something that a card does over time: a generator that yields what it waits for. */
export class Process {
  #current: Generator<Wait, void, void> | undefined;

  constructor(
    private readonly clock: Clock,
    /** Gets an error that the process did not catch. Default: a task of the clock throws it, to whoever runs the clock. */
    private readonly onError: (error: unknown) => void = (error) => {
      clock.after(0, () => {
        throw error;
      });
    },
  ) {}

  get isRunning(): boolean {
    return this.#current !== undefined;
  }

  /** Starts `body`, running it until its first wait; what ran before is dropped. */
  start(body: Generator<Wait, void, void>): void {
    this.#current = body;
    this.#resume(body);
  }

  /** Drops the process at the wait it is in; nothing of it runs any more. */
  cancel(): void {
    this.#current = undefined;
  }

  #resume(body: Generator<Wait, void, void>, failure?: { readonly error: unknown }): void {
    if (body !== this.#current) return;
    try {
      let { done, value: wait } = failure ? body.throw(failure.error) : body.next();
      // What has ended already is no wait: on with it, without another call.
      while (body === this.#current && !done && (wait as { isDone?: boolean }).isDone)
        ({ done, value: wait } = body.next());
      if (body !== this.#current) return ignoreFailure(wait);
      if (done) this.#current = undefined;
      else this.#arrange(body, wait as Wait);
    } catch (error) {
      if (body === this.#current) this.#current = undefined;
      this.onError(error);
    }
  }

  #arrange(body: Generator<Wait, void, void>, wait: Wait): void {
    const resume = (): void => this.#resume(body);
    const fail = (error: unknown): void => this.#resume(body, { error });
    if (typeof wait === 'function') wait(resume);
    else if (wait instanceof Promise) wait.then(resume, fail);
    else if ('delayNs' in wait) this.clock.after(wait.delayNs, resume);
    else wait.onSettled(resume, fail);
  }
}

/** A process that was cancelled while it ran has yielded this: nobody waits for it. */
function ignoreFailure(wait: Wait | void): void {
  if (wait instanceof Promise) wait.catch(() => {});
}
