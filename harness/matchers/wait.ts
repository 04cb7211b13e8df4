/** Waiting for a card: a condition is looked at after everything that happens to the card, and never in between. */
import { type CardTrace } from '../../instrumentation/trace';

export interface WaitOptions {
  /** Default 5000. */
  readonly timeoutMs?: number;
}

export const DEFAULT_WAIT_MS = 5000;

/** Whether `condition` became true within the time. */
export function reached(trace: CardTrace, condition: () => boolean, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const settle = (): void => {
      stop();
      clearTimeout(timer);
    };
    const look = (isLast: boolean): void => {
      try {
        const isTrue = condition();
        if (!isTrue && !isLast) return;
        settle();
        resolve(isTrue);
      } catch (error) {
        settle();
        reject(error as Error);
      }
    };
    const stop = trace.onChange(() => look(false));
    const timer = setTimeout(() => look(true), timeoutMs);
    look(false);
  });
}
