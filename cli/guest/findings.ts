/** What a run has found beside the end of its command: stalled drivers, model errors, injected faults that never fired. */
import { isUnfired, wordUnfired } from '../../instrumentation/faults';
import { type StallNotice } from '../../instrumentation/stalls';
import { type Rig } from '../../qemu/rig';
import { EXIT } from '../common/errors';
import { type Outcome } from './guest-command';

type CardNotice = StallNotice & { readonly card: string };

export class NoticeLog {
  readonly #notices: CardNotice[] = [];
  readonly #reported = new Set<string>();

  /** Prints each stall once with `say`, however often the driver comes back to it. */
  constructor(private readonly say: (text: string) => void) {}

  add(card: string, notice: StallNotice): void {
    const { kind, register, interrupt } = notice;
    const stall = JSON.stringify([card, kind, register, interrupt]);
    if (this.#reported.has(stall)) return;
    this.#reported.add(stall);
    this.#notices.push({ card, ...notice });
    this.say(`${card}: ${notice.text}`);
  }

  /** For `--json`: `notices`, if there are any. */
  get member(): { notices?: readonly CardNotice[] } {
    return this.#notices.length === 0 ? {} : { notices: this.#notices };
  }
}

/** A run with model errors fails, whatever the command's exit code is. */
export function withModelErrors(outcome: Outcome, { modelErrors: { length: count } }: Rig): Outcome {
  if (count === 0) return outcome;
  const { exitCode, error } = outcome;
  const ownError = error === undefined ? '' : `${error}\n`;
  const errors = `${count} model error${count === 1 ? '' : 's'}, see above; the command ended with exit code ${exitCode}`;
  return { exitCode: EXIT.GHOSTCARD, error: ownError + errors };
}

export const timesFired = (rig: Rig): { card: string; name: string; times: number }[] =>
  rig.declaredFaults.map(({ card, name, times }) => ({ card, name, times }));

/** A run whose command succeeds fails when a declared fault never fired: that fault was not tested. */
export function withUnfired(outcome: Outcome, rig: Rig, say: (text: string) => void): Outcome {
  const { exitCode, error } = outcome;
  for (const { card, name, times } of timesFired(rig)) {
    if (times > 0)
      say(`the fault '${name}' of the card '${card}' has fired ${times === 1 ? 'once' : `${times} times`}`);
  }
  const unfired = rig.declaredFaults.filter(isUnfired).map((fault) => wordUnfired(fault.card, fault));
  if (unfired.length === 0) return outcome;
  const errors = [error ?? [], unfired].flat().join('\n');
  return { ...outcome, exitCode: exitCode === EXIT.OK ? EXIT.FAULT_NOT_FIRED : exitCode, error: errors };
}
