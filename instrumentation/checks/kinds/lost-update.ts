/**
 * A read-modify-write that undoes what came in between. Three forms, all where the accesses follow one another directly, so
 * that nothing else explains them: the card has changed a bit between the read and the write, which restores it; the write
 * restores a bit that the card clears by itself, as it declares, while it is at work, which works until the two coincide; or
 * two reads are followed by two writes, each of which sets a bit of its own and leaves the rest, so that the second takes
 * the first one's bit back: two threads without a lock.
 */
import { type AccessEvent } from '../../../emulator/pci';
import { fieldsOf } from '../../trace';
import { type Check } from '../check';
import { RESTORABLE, type WordRegister } from '../registers';

/** A modification takes microseconds; later, the driver decides anew. */
const MOST_NS = 10_000_000;

export const lostUpdate: Check = {
  doc: 'The driver reads a register, changes bits and writes it back, and so undoes what the card or another thread has changed in between.',
  source: 'Linux Documentation/driver-api/device-io.rst; a lock, or registers that set and clear bits',
  make({ card, registers, traffic, report }) {
    let current: WordRegister | undefined;
    let [region, offset] = [-1, -1];
    /** The count of accesses at the last one of this register. */
    let lastAccess = 0;
    let [reads, value, stored, readNs] = [0, 0, 0, 0];
    /** What the first write after the reads has set; 0 before. */
    let firstSet = 0;

    const hex = (word: number): string =>
      `0x${(word >>> 0).toString(16)}${fieldsOf(current!.layout, BigInt(word >>> 0))}`;
    const found = (written: number, what: () => string): void => {
      const { name } = current!;
      const words = () => `the driver has read ${name} as ${hex(value)} and writes ${hex(written)}, ${what()}`;
      report(name, words, { register: name });
    };
    const undone = (bits: number, by: string, before: number, written: number): void =>
      found(
        written,
        () => `but meanwhile ${by} made it ${hex(before)}: the write undoes the change of ${wordBits(current!, bits)}`,
      );
    const mayUndo = (bits: number, written: number): void =>
      found(written, () => {
        const names = wordBits(current!, bits);
        return (
          `1 in ${names} again while the card is at work, which clears ${names} by itself: had it done so in between, ` +
          `the write would undo it`
        );
      });

    const isNextAccess = (): boolean => {
      const isNext = lastAccess === traffic.accesses - 1;
      lastAccess = traffic.accesses;
      return isNext;
    };

    return {
      read(event, timeNs) {
        if ((registers.flags(event.region, event.offset) & RESTORABLE) === 0) return;
        const read = wordOf(event);
        const isSame =
          isNextAccess() &&
          reads > 0 &&
          firstSet === 0 &&
          event.offset === offset &&
          event.region === region &&
          read === value;
        if (event.offset !== offset || event.region !== region) current = registers.at(event.region, event.offset);
        ({ region, offset } = event);
        reads = isSame ? reads + 1 : 1;
        firstSet = 0;
        value = read;
        stored = Number(current!.stored.value) | 0;
        readNs = timeNs;
      },
      write(event, timeNs) {
        if (!isNextAccess() || event.offset !== offset || event.region !== region) reads = 0;
        if (reads === 0) return;
        const written = wordOf(event);
        const { setByOne, clearedByZero, clearedByCard } = current!;
        const before = Number(current!.stored.value) | 0;
        const isTimely = timeNs - readNs < MOST_NS && written !== value;
        if (firstSet !== 0) {
          const set = setOnly(value, written);
          if (isTimely && reads > 1 && set !== 0 && (set & firstSet) === 0 && (before & firstSet) === firstSet) {
            if (!shareField(current!, firstSet, set)) undone(firstSet, 'another write', before, written);
          }
          reads = 0;
          return;
        }
        const restored = ((value & setByOne) | (~value & clearedByZero)) & ~(written ^ value) & ~(stored ^ value);
        const lost = (before ^ stored) & restored;
        const atRisk = value & restored & clearedByCard;
        if (isTimely && lost !== 0) undone(lost, 'the card has', before, written);
        else if (isTimely && atRisk !== 0 && card.inspection.clock.waiting > 0) mayUndo(atRisk, written);
        firstSet = value === 0 ? 0 : setOnly(value, written) & setByOne & clearedByZero;
        if (firstSet === 0) reads = 0;
      },
      reset: () => void (reads = 0),
    };
  },
};

/** The bits that a write sets, if it leaves all others as they were read; else 0. */
const setOnly = (value: number, written: number): number => ((value & ~written) === 0 ? written & ~value : 0);

const wordOf = ({ data }: AccessEvent): number => data[0]! | (data[1]! << 8) | (data[2]! << 16) | (data[3]! << 24);

const fieldsIn = ({ layout }: WordRegister, bits: number) =>
  layout.fields.filter(({ lsb, width }) => ((bits >>> lsb) & (2 ** width - 1)) !== 0);

/** A field is one value: two writes of it are two decisions. A register without fields is one field. */
function shareField(register: WordRegister, bits: number, others: number): boolean {
  if (register.layout.fields.length === 0) return true;
  return fieldsIn(register, bits).some((field) => fieldsIn(register, others).includes(field));
}

function wordBits(register: WordRegister, bits: number): string {
  const names = fieldsIn(register, bits).map(({ name }) => name);
  return names.length === 0 ? `bits 0x${(bits >>> 0).toString(16)}` : names.join(', ');
}
