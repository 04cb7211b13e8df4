/**
 * Status that is acknowledged and was never read: a cause is lost. Two forms, where nothing else explains them. The driver
 * reads the register and acknowledges all that it has read in the very next access, and more, which the card has set in
 * between. Or, with one interrupt for all causes, it acknowledges several at once and has not read the register since the
 * interrupt. The first write of a register may well clear what an earlier run has left.
 */
import { Irq } from '../../../emulator/pci';
import { type Check } from '../check';
import { CLEARED_BY_ONE, type WordRegister } from '../registers';

interface Status {
  readonly register: WordRegister;
  readonly region: number;
  readonly offset: number;
  /** What the last read has returned, and how many interrupts had come by then. */
  value: number;
  interrupts: number;
  isUsed: boolean;
}

export const acknowledgedUnread: Check = {
  doc: 'The driver acknowledges status that it has not read: a cause is lost.',
  source: "the card's data sheet: a status register that is cleared by writing 1",
  make({ trace, registers, traffic, report }) {
    const known = new Map<number, Status>();
    /** What was read last, and the count of accesses then. */
    let last: Status | undefined;
    let lastAccess = 0;
    /** A driver accesses one register again and again. */
    let recent: Status | undefined;
    let interrupts = 0;
    let index = -1;

    const statusAt = (region: number, offset: number): Status => {
      if (recent?.offset === offset && recent.region === region) return recent;
      const at = region * 2 ** 40 + offset;
      let status = known.get(at);
      if (status === undefined) {
        status = { register: registers.at(region, offset), region, offset, value: 0, interrupts: 0, isUsed: false };
        known.set(at, status);
      }
      return (recent = status);
    };

    return {
      read({ region, offset, data }) {
        if ((registers.flags(region, offset) & CLEARED_BY_ONE) === 0) return;
        last = statusAt(region, offset);
        lastAccess = traffic.accesses;
        last.value = (data[0]! | (data[1]! << 8) | (data[2]! << 16) | (data[3]! << 24)) & last.register.clearedByOne;
        last.interrupts = interrupts;
        last.isUsed = true;
      },
      write({ region, offset, data }) {
        if ((registers.flags(region, offset) & CLEARED_BY_ONE) === 0) return;
        const read = lastAccess === traffic.accesses - 1 ? last : undefined;
        const status = statusAt(region, offset);
        const { name, clearedByOne, stored, layout } = status.register;
        const written = (data[0]! | (data[1]! << 8) | (data[2]! << 16) | (data[3]! << 24)) & clearedByOne;
        const cleared = written & Number(stored.value);
        const wasUsed = status.isUsed;
        status.isUsed = true;
        const fields = (bits: number) =>
          layout.fields
            .filter(({ lsb, width }) => ((bits >>> lsb) & (2 ** width - 1)) !== 0)
            .map((field) => field.name);
        const hex = `0x${(written >>> 0).toString(16)}`;
        if (read === status && read.value !== 0 && (written & read.value) === read.value) {
          const unread = cleared & ~read.value;
          if (unread === 0) return;
          report(
            name,
            () =>
              `the driver acknowledges ${fields(unread).join(', ') || `0x${(unread >>> 0).toString(16)}`} in ${name} ` +
              `without having read it: the write of ${hex} clears more than the last read has returned, ` +
              `0x${(read.value >>> 0).toString(16)}. Acknowledge what was read`,
            { register: name },
          );
        } else if (wasUsed && interrupts > status.interrupts && fields(cleared).length > 1) {
          const isShared = index === Irq.INTX || trace.connectedVectors(index).length === 1;
          status.interrupts = interrupts;
          if (!isShared) return;
          report(
            name,
            () =>
              `the driver acknowledges ${fields(cleared).join(', ')} in ${name} and has not read it since the ` +
              'interrupt: with one interrupt for all, only the register says which cause it was',
            { register: name },
          );
        }
      },
      interrupt(event) {
        if (event.phase !== 'sent') return;
        interrupts++;
        ({ index } = event);
      },
      reset: () => void (known.clear(), (last = recent = undefined)),
      driverLeft: () => void (known.clear(), (last = recent = undefined)),
    };
  },
};
