/** What has become of the faults that were declared for a run: one that has never fired has tested nothing. */
import { isUnfired, wordUnfired } from '../../instrumentation/faults';
import { type Rig } from '../../qemu/rig';
import { EXIT } from '../common/exit-codes';
import { type Outcome } from './guest-command';

export const timesFired = (rig: Rig): { card: string; name: string; times: number }[] =>
  rig.declaredFaults.map(({ card, name, times }) => ({ card, name, times }));

/** The outcome of the command, and of the faults beside it. */
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
