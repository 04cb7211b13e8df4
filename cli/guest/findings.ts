/** What a run has found beside the end of its command: notices, model errors, injected faults that never fired. */
import { isUnfired, wordUnfired } from '../../instrumentation/faults';
import { type Rig } from '../../qemu/rig';
import { EXIT } from '../common/errors';
import { type NoticeLog } from '../common/notices';
import { type Outcome } from './guest-command';

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
  for (const { card, name, times } of timesFired(rig)) {
    if (times > 0)
      say(`the fault '${name}' of the card '${card}' has fired ${times === 1 ? 'once' : `${times} times`}`);
  }
  const unfired = rig.declaredFaults.filter(isUnfired).map((fault) => wordUnfired(fault.card, fault));
  return unfired.length === 0 ? outcome : failedBy(outcome, EXIT.FAULT_NOT_FIRED, unfired);
}

/** A run whose command succeeds fails when it raced with a card. */
export function withRaces(outcome: Outcome, rig: Rig, say: (text: string) => void): Outcome {
  rig.unusedSuppressions.forEach(say);
  const { length: count } = rig.races;
  if (count === 0) return outcome;
  return failedBy(outcome, EXIT.RACED, [`${count} DMA race${count === 1 ? '' : 's'}, see above and docs/dma-races.md`]);
}

/** Says how often there were notices, and what is left to say of the cards; with `strict`, a run whose command succeeds fails when there were any. */
export function withNotices(
  outcome: Outcome,
  rig: Rig,
  { log, strict, say }: { log: NoticeLog; strict: boolean; say: (text: string) => void },
): Outcome {
  log.conclude(rig.checkCounts).forEach(say);
  for (const { card, text } of rig.findings) say(`${card}: ${text}`);
  const { failure } = log;
  return !strict || failure === undefined ? outcome : failedBy(outcome, EXIT.NOTICED, [failure]);
}

/** The command's own exit code comes first, unless it has succeeded. */
function failedBy(outcome: Outcome, code: number, reasons: readonly string[]): Outcome {
  const { exitCode, error } = outcome;
  const errors = [error ?? [], reasons].flat();
  return { ...outcome, exitCode: exitCode === EXIT.OK ? code : exitCode, error: errors.join('\n') };
}
