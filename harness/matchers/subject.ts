/** What matchers look at, a card or the result of a command, and how they wait for a card. */
import { PciCard } from '../../emulator/pci/index.ts';
import { type CardTrace } from '../../instrumentation/trace/index.ts';
import { type ExecResult } from '../../qemu/channel/index.ts';

export function checkCard(subject: unknown, matcher: string): PciCard {
  if (subject instanceof PciCard) return subject;
  const hint =
    typeof subject === 'object' && subject !== null && 'card' in subject ? '; did you mean its property card?' : '';
  throw new TypeError(`${matcher} needs a card (a PciCard), but was given ${describe(subject)}${hint}`);
}

export function checkResult(subject: unknown, matcher: string): ExecResult {
  if (typeof subject === 'object' && subject !== null && 'stdout' in subject && 'timedOut' in subject) {
    return subject as ExecResult;
  }
  const hint = subject instanceof Promise ? '; did you forget await?' : '';
  throw new TypeError(`${matcher} needs the result of guest.run(), but was given ${describe(subject)}${hint}`);
}

function describe(subject: unknown): string {
  if (typeof subject !== 'object' || subject === null) return String(subject);
  return `a ${subject.constructor?.name ?? 'object'}`;
}

/** How long a matcher waits. */
export interface WaitOptions {
  /** Default 5000. */
  readonly timeoutMs?: number;
}

export const DEFAULT_WAIT_MS = 5000;

/** Whether `condition` becomes true within the time. It is evaluated after each event of the card, never in between. */
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
