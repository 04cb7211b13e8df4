/**
 * How an access to host memory ends. Where memory is mapped it has been done when the call returns: the result is
 * `Completion.DONE`, one constant, and nothing is allocated. Where memory is reached by message it is pending until the
 * client has answered.
 *
 * A Process waits for it: `yield port.read(…)`. Engines write `yield* port.read(…)`, which does not leave their
 * generators when the access has been done, and so costs nothing. Whoever waits goes on in the very call that settles it.
 * In a microtask, as of a promise, device time might have moved on, and differently from run to run.
 */
export interface Completion {
  /** The access has been done. False while it is pending, and when it has failed. */
  readonly isDone: boolean;
  /** Calls one of the two when the access ends, or now if it has ended. Without `failed`, a failure is ignored. */
  onSettled(done: () => void, failed?: (error: unknown) => void): void;
  /** Runs `act` once the access is done. The result ends with it, or with what it returns; or with the failure of this. */
  andThen(act: () => Completion | void): Completion;
  /** Yields the completion, unless the access has been done. */
  [Symbol.iterator](): Iterator<Completion, void, void>;
  /** For code that awaits: async functions, tests. */
  promise(): Promise<void>;
}

const ended = { done: true, value: undefined } as const;
const nothing = { next: () => ended };
const DONE: Completion = {
  isDone: true,
  onSettled: (done) => done(),
  andThen: (act) => act() ?? DONE,
  [Symbol.iterator]: () => nothing,
  promise: () => Promise.resolve(),
};

/** `DONE`: of an access that has been done. For ports that decorate another, or stand in for one. */
export const Completion = { DONE } as const;

/** The end of an access that comes later. */
export class PendingCompletion implements Completion {
  #waiting: { readonly done: () => void; readonly failed: (error: unknown) => void }[] = [];
  #outcome: { readonly error?: unknown } | undefined;

  /** Ends as the promise does. */
  static of(promise: Promise<void>): PendingCompletion {
    const completion = new PendingCompletion();
    promise.then(
      () => completion.finish(),
      (error: unknown) => completion.fail(error),
    );
    return completion;
  }

  get isDone(): boolean {
    return this.#outcome !== undefined && !('error' in this.#outcome);
  }

  onSettled(done: () => void, failed: (error: unknown) => void = () => {}): void {
    if (this.#outcome === undefined) this.#waiting.push({ done, failed });
    else if ('error' in this.#outcome) failed(this.#outcome.error);
    else done();
  }

  andThen(act: () => Completion | void): Completion {
    const both = new PendingCompletion();
    this.onSettled(
      () => both.endWith(act),
      (error) => both.fail(error),
    );
    return both;
  }

  *[Symbol.iterator](): Iterator<Completion, void, void> {
    if (!this.isDone) yield this;
  }

  promise(): Promise<void> {
    return new Promise((resolve, reject) => this.onSettled(resolve, reject));
  }

  finish(): void {
    this.#settle({});
  }

  fail(error: unknown): void {
    this.#settle({ error });
  }

  /** Makes an access now, and ends as it does. */
  endWith(access: () => Completion | void): void {
    let completion: Completion | void;
    try {
      completion = access();
    } catch (error) {
      return this.fail(error);
    }
    (completion ?? DONE).onSettled(
      () => this.finish(),
      (error) => this.fail(error),
    );
  }

  #settle(outcome: { readonly error?: unknown }): void {
    if (this.#outcome !== undefined) return;
    this.#outcome = outcome;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { done, failed } of waiting) {
      if ('error' in outcome) failed(outcome.error);
      else done();
    }
  }
}
