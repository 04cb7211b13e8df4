/** What matchers are used on: a clear word when it is something else. */
import { PciCard } from '../../emulator/pci';
import { type ExecResult } from '../../qemu/channel';

export function checkCard(subject: unknown, matcher: string): PciCard {
  if (subject instanceof PciCard) return subject;
  const hint =
    typeof subject === 'object' && subject !== null && 'card' in subject ? '; did you mean its property card?' : '';
  throw new TypeError(`${matcher} looks at a card (a PciCard), and was given ${describe(subject)}${hint}`);
}

export function checkResult(subject: unknown, matcher: string): ExecResult {
  if (typeof subject === 'object' && subject !== null && 'stdout' in subject && 'timedOut' in subject) {
    return subject as ExecResult;
  }
  const hint = subject instanceof Promise ? '; did you forget await?' : '';
  throw new TypeError(`${matcher} looks at what guest.run() resolves to, and was given ${describe(subject)}${hint}`);
}

function describe(subject: unknown): string {
  if (typeof subject !== 'object' || subject === null) return String(subject);
  return `a ${subject.constructor?.name ?? 'object'}`;
}
