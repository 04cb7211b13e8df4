/** Bounded waits: every wait in this folder has a time limit and can be aborted. */

export class WaitTimeoutError extends Error {
  constructor(
    readonly what: string,
    readonly timeoutMs: number,
  ) {
    super(`Timed out after ${timeoutMs} ms while waiting for ${what}.`);
    this.name = 'WaitTimeoutError';
  }
}

export interface Wait {
  /** Completes the sentence "waiting for …". */
  readonly what: string;
  readonly timeoutMs: number;
  /** Aborting it makes the wait reject with its reason. */
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
