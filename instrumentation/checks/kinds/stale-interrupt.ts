/**
 * An interrupt that was raised for an earlier driver, or an earlier run, and that the present one receives: it finds no
 * cause, or a wrong one. A run ends when its command does, when the card is bound to another driver, or when Bus Master
 * Enable is cleared and set again with no access of a register in between, as when one driver is unbound and another bound.
 */
import { Irq } from '../../../emulator/pci';
import { wordInterrupt, wordTime } from '../../trace';
import { type Check } from '../check';

export const staleInterrupt: Check = {
  doc: 'The driver receives an interrupt that was raised before it came.',
  source: 'Linux Documentation/PCI/pci.rst, "Request IRQ": disable and acknowledge what the device has left',
  make({ traffic, report }) {
    /** By interrupt: the run in which it was raised, and when. */
    const raised = new Map<number, { readonly run: number; readonly timeNs: number }>();
    let run = 0;
    /** Bus Master Enable has been cleared: the count of accesses then. */
    let accessesBefore = -1;
    return {
      interrupt({ phase, index, vector }, timeNs) {
        const key = index * 65_536 + vector;
        if (phase === 'raised') raised.set(key, { run, timeNs });
        else if (phase === 'lowered') raised.delete(key);
        if (phase !== 'sent') return;
        const since = raised.get(key);
        if (since === undefined) return;
        if (since.run === run) {
          if (index !== Irq.INTX) raised.delete(key); // a message has been sent, a level stands
          return;
        }
        raised.delete(key);
        report(
          wordInterrupt(index, vector),
          () =>
            `the driver receives ${wordInterrupt(index, vector)}, which was raised at ${wordTime(since.timeNs).trim()}, ` +
            'before this driver came: it belongs to an earlier run. Disable and acknowledge what the card has left ' +
            'before interrupts are requested, or reset the card',
          { interrupt: { index, vector } },
        );
      },
      state({ part, state }) {
        if (part === 'interrupts') raised.clear();
        if (part !== 'bus master') return;
        if (state === 'on' && accessesBefore === traffic.accesses) run++;
        accessesBefore = state === 'off' ? traffic.accesses : -1;
      },
      reset: () => void (raised.clear(), (accessesBefore = -1)),
      isUnsettled: () => raised.size > 0,
      driverLeft: () => void run++,
    };
  },
};
