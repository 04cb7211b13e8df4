/**
 * An access that is not of one whole register: unaligned, wider, narrower, or where no register is. Both halves of a
 * 64-bit register are accessed one by one by many drivers, and rightly so.
 */
import { type AccessEvent } from '../../../emulator/pci';
import { type NamedRegister, placeOf, wordBytes } from '../../trace';
import { type Check } from '../check';

const SPLIT =
  'An unaligned or wider access of the driver comes in such pieces on amd64; on arm64 an unaligned one is SIGBUS';

export const accessSize: Check = {
  doc: 'The driver accesses a register in another size than its own, unaligned, or where no register is.',
  source: "the card's register map; Arm ARM (DDI 0487), B2.5.2: unaligned accesses of Device memory fault",
  make({ registers, report }) {
    const look = (event: AccessEvent): void => {
      const { region, offset, data } = event;
      if (!registers.has(region)) return;
      const touched = registers.names.touched(region, offset, data.length);
      const [first] = touched;
      if (isWhole(first, touched.length, offset, data.length) || touched.some(({ structure }) => structure !== ''))
        return;
      const place = `BAR${region} + 0x${offset.toString(16)}`;
      report(
        first?.name ?? place,
        () => {
          const access = `the driver ${event.kind === 'read' ? 'reads' : 'writes'} ${wordBytes(data.length)} at ${place}`;
          if (first === undefined) {
            return `${access}, where the card has no register: a card may return anything there, or not answer`;
          }
          const names = touched.map(({ name }) => name);
          const where =
            names.length === 1 ? placeOf(registers.names, region, offset, data.length) : names.join(' and ');
          const width = `${first.layout.width} bits wide`;
          const size = names.length === 1 ? `a register ${width}` : `registers, the first ${width}`;
          return `${access}: ${where}, ${size}. A card may ignore byte enables, or take one beat only. ${SPLIT}`;
        },
        first && { register: first.name },
      );
    };
    return { oddAccess: look };
  },
};

/** Whether an access is of all of a register, or of an aligned half of a 64-bit one. */
function isWhole(register: NamedRegister | undefined, count: number, offset: number, sizeBytes: number): boolean {
  if (register === undefined || count !== 1) return false;
  const { width } = register.layout;
  const skipped = offset - register.offset;
  return (
    (skipped === 0 && sizeBytes * 8 === width) || (width === 64 && sizeBytes === 4 && skipped >= 0 && skipped % 4 === 0)
  );
}
