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
  let end = (): void => {};
  const limit = new Promise<never>((_, reject) => {
    const timer = setTimeout(() => reject(new WaitTimeoutError(what, timeoutMs)), timeoutMs);
    const callOff = (): void => reject(signal?.reason as Error);
    if (signal?.aborted) callOff();
    else signal?.addEventListener('abort', callOff);
    end = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', callOff);
    };
  });
  try {
    return await Promise.race([promise, limit]);
  } finally {
    end();
  }
}
