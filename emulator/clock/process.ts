/**
 * A hardware process: sequential behaviour that waits, written as a generator, as a VHDL or SystemC process is.
 *
 * It yields what it waits for: a delay in device time, a promise (memory reached by message), or a subscription that
 * calls back (a stream that has room again). Unlike an async function it goes on in the very call that fulfils the
 * wait, not in a later microtask, so it makes progress while the server stays in its message loop; and it can be
 * dropped at any wait, which is what a reset does.
 */
import { type Clock } from './clock';

export type Wait = { readonly delayNs: number } | Promise<void> | ((resume: () => void) => void);

export class Process {
  #current: Generator<Wait, void, void> | undefined;

  constructor(
    private readonly clock: Clock,
    /** Gets what the process did not catch. Default: a task of the clock throws it, so that whoever runs the clock sees it. */
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
    this.#resume(body, undefined);
  }

  /** Drops the process at the wait it is in; nothing of it runs any more. */
  cancel(): void {
    this.#current = undefined;
  }

  #resume(body: Generator<Wait, void, void>, failure: { error: unknown } | undefined): void {
    if (body !== this.#current) return;
    try {
      const { done, value: wait } = failure ? body.throw(failure.error) : body.next();
      if (body !== this.#current) return forget(wait);
      if (done) this.#current = undefined;
      else this.#arrange(body, wait);
    } catch (error) {
      if (body === this.#current) this.#current = undefined;
      this.onError(error);
    }
  }

  #arrange(body: Generator<Wait, void, void>, wait: Wait): void {
    const resume = (): void => this.#resume(body, undefined);
    if (typeof wait === 'function') wait(resume);
    else if (wait instanceof Promise) wait.then(resume, (error: unknown) => this.#resume(body, { error }));
    else this.clock.after(wait.delayNs, resume);
  }
}

/** What a process that was cancelled while it ran goes on to wait for: nobody does, so nobody is told if it fails. */
function forget(wait: Wait | void): void {
  if (wait instanceof Promise) wait.catch(() => {});
}
