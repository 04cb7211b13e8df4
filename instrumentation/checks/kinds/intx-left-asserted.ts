/**
 * A line that the card has deasserted and QEMU has not, because no BAR has been accessed since, while the guest's handler
 * looks for its cause again and again: it reads Command and Status. Guests of ghostcard's own have the line released at
 * once; a QEMU of the user's own has not (docs/limits.md).
 */
import { Irq } from '../../../emulator/pci';
import { type Check } from '../check';

const COMMAND = 0x04;
/** More than a handler reads before a line is released. */
const READS = 1000;

export const intxLeftAsserted: Check = {
  doc: 'QEMU keeps interrupting the guest by INTx although the card has deasserted it.',
  source: 'PCI Express Base Spec 5.0, 6.1.2: Deassert_INTx ends the interrupt; docs/limits.md',
  make({ card, report }) {
    let reads = 0;
    return {
      config({ kind, offset }) {
        if (kind === 'write' || offset !== COMMAND) return;
        reads = card.inspection.interrupts.intx.isStale ? reads + 1 : 0;
        if (reads !== READS) return;
        report(
          'INTx',
          () =>
            'the card has deasserted INTx, and QEMU keeps it asserted until the driver accesses a BAR: the guest has been ' +
            `interrupted ${READS} times without a cause, and may disable the line ("nobody cared"). This is QEMU's doing, ` +
            "not the driver's: have the handler read a register of the card, or use MSI-X (docs/limits.md)",
          { interrupt: { index: Irq.INTX, vector: 0 } },
        );
      },
    };
  },
};
