/** Bounded waits: no promise here is awaited without a time limit and without a way to call the wait off. */

export class WaitTimeoutError extends Error {
  constructor(
    readonly what: string,
    readonly timeoutMs: number,
  ) {
    super(`Waited ${timeoutMs} ms for ${what}, in vain.`);
    this.name = 'WaitTimeoutError';
  }
}

export interface Wait {
  /** Completes the sentence "waited for …". */
  readonly what: string;
  readonly timeoutMs: number;
  /** Aborting it rejects with its reason. */
  readonly signal?: AbortSignal;
}

export async function within<T>(promise: Promise<T>, { what, timeoutMs, signal }: Wait): Promise<T> {
  const ended = new AbortController();
  try {
    return await Promise.race([
      promise,
      new Promise<never>((_, reject) => {
        const timer = setTimeout(() => reject(new WaitTimeoutError(what, timeoutMs)), timeoutMs);
        ended.signal.addEventListener('abort', () => clearTimeout(timer));
        const callOff = () => reject(signal?.reason as Error);
        if (signal?.aborted) callOff();
        else signal?.addEventListener('abort', callOff, { signal: ended.signal });
      }),
    ]);
  } finally {
    ended.abort();
  }
}
