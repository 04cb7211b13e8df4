/**
 * INTx that the driver enables again (Interrupt Disable in the command register) while its cause stands: it comes again at
 * once, for ever. A driver that has written any register of the card since may have tried to remove the cause; once or
 * twice, a kernel that masks and unmasks the line for reasons of its own looks the same.
 */
import { Irq } from '../../../emulator/pci';
import { type Check } from '../check';

/** Command register, byte 1: Interrupt Disable is bit 10 of the register. */
const COMMAND = 4;
const DISABLE = 1 << 10;
/** So often in a row before it is reported. */
const TIMES = 3;

export const enabledWithCause: Check = {
  doc: 'The driver enables INTx again and has done nothing about its cause, which still stands.',
  source: 'PCI Local Bus Spec 3.0, 2.2.6: the line stays asserted until the driver clears the pending request',
  make({ traffic, report }) {
    /** INTx has been sent and is still asserted: the count of writes then. */
    let writesBefore = -1;
    let isDisabled = false;
    let times = 0;
    let countedSince = -1;
    return {
      config({ kind, offset, data }) {
        if (kind === 'read' || offset > COMMAND + 1 || offset + data.length <= COMMAND + 1) return;
        const wasDisabled = isDisabled;
        isDisabled = ((data[COMMAND + 1 - offset]! << 8) & DISABLE) !== 0;
        if (!wasDisabled || isDisabled || writesBefore !== traffic.writes) return;
        if (writesBefore !== countedSince) times = 0;
        countedSince = writesBefore;
        writesBefore = -1;
        if (++times < TIMES) return;
        times = 0;
        report(
          'INTx',
          () =>
            `the driver enables INTx again (Interrupt Disable in config:COMMAND), for the ${TIMES}rd time since it has ` +
            'written a register: the cause stands, so that INTx comes again at once. Clear the cause first',
          { interrupt: { index: Irq.INTX, vector: 0 } },
        );
      },
      interrupt({ phase, index }) {
        if (index === Irq.INTX && (phase === 'sent' || phase === 'lowered'))
          writesBefore = phase === 'sent' ? traffic.writes : -1;
      },
      state({ part }) {
        if (part === 'interrupts') writesBefore = -1;
      },
      reset() {
        isDisabled = false;
        writesBefore = -1;
        times = 0;
      },
      driverLeft: () => void (writesBefore = -1),
    };
  },
};
