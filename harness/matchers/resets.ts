/** `toHaveBeenReset`: by a function-level reset, which its driver asks for, or otherwise: by QEMU, or the loss of its link. */
import { type PciCard, type ResetKind } from '../../emulator/pci';
import { traceOf } from '../../instrumentation/trace';
import { recentEvents } from './history';
import { timesInWords } from './interrupts';
import { checkCard } from './subject';

const KINDS: readonly ResetKind[] = ['flr', 'device'];

export function toHaveBeenReset(card: PciCard, by?: ResetKind) {
  const trace = traceOf(checkCard(card, 'toHaveBeenReset'));
  const pass = KINDS.some((kind) => (by === undefined || by === kind) && trace.resets(kind) > 0);
  const what =
    by === undefined
      ? 'reset'
      : by === 'flr'
        ? 'reset by a function-level reset'
        : 'reset otherwise than by its driver';
  const seen =
    `there were: function-level resets ${timesInWords(trace.resets('flr'))}, ` +
    `others ${timesInWords(trace.resets('device'))}`;
  return {
    pass,
    message: () => `expected the card ${pass ? 'not ' : ''}to have been ${what}; ${seen}${recentEvents(trace)}`,
  };
}
