/**
 * The end of a DMA access that comes later in device time. Whoever waits goes on in the very call that settles it, as with
 * any other wait of a hardware process (`Process`): a microtask would come when device time has moved on, and differently
 * from run to run.
 */
export class Late extends Promise<void> {
  /** What `then` and its kin make is an ordinary promise. */
  static override get [Symbol.species](): PromiseConstructor {
    return Promise;
  }

  readonly #waiting: { done: () => void; failed: (error: unknown) => void }[] = [];
  #settled: { readonly error?: unknown } | undefined;

  constructor() {
    super(() => {}); // stays open: nobody is told of a rejection that nobody waits for
  }

  override then<T = void, E = never>(
    onDone?: ((value: void) => T | PromiseLike<T>) | null,
    onFailed?: ((reason: unknown) => E | PromiseLike<E>) | null,
  ): Promise<T | E> {
    return new Promise<T | E>((resolve, reject) => {
      const tell = <V>(act: () => V | PromiseLike<V>): void => {
        try {
          (resolve as (value: V | PromiseLike<V>) => void)(act());
        } catch (error) {
          reject(error as Error);
        }
      };
      const waiting = {
        done: () => (onDone ? tell(() => onDone()) : (resolve as () => void)()),
        failed: (error: unknown) => (onFailed ? tell(() => onFailed(error)) : reject(error as Error)),
      };
      if (this.#settled === undefined) this.#waiting.push(waiting);
      else if ('error' in this.#settled) waiting.failed(this.#settled.error);
      else waiting.done();
    });
  }

  /** Does the access that was put off, and ends with it. */
  become(access: () => Promise<void> | undefined): void {
    try {
      const pending = access();
      if (pending === undefined) this.#settle({});
      else {
        pending.then(
          () => this.#settle({}),
          (error: unknown) => this.fail(error),
        );
      }
    } catch (error) {
      this.fail(error);
    }
  }

  fail(error: unknown): void {
    this.#settle({ error });
  }

  #settle(outcome: { readonly error?: unknown }): void {
    if (this.#settled !== undefined) return;
    this.#settled = outcome;
    for (const waiting of this.#waiting.splice(0)) {
      if ('error' in outcome) waiting.failed(outcome.error);
      else waiting.done();
    }
  }
}
