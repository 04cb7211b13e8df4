/** How the card in a replay differs from the one that was recorded: its model, its registers, its faults. */
import { applyFaults, type FaultDeclaration, FaultDeclarationError, type SlotLink } from '../faults';
import { type PciCard, regionName } from '../../emulator/pci';
import { type RegisterLayout } from '../../emulator/registers';
import { type CardDescription, type NamedRegister, RegisterNames, type RegisterSpace } from '../trace';
import { describeCard } from '../trace/card-description';
import { ReplayError } from './card-events';

/** `the trace is of ReferenceCard 1234:4743, this is BlinkCard 1234:4742`; undefined for a card with the same IDs. */
export function otherModel(description: CardDescription, card: PciCard): string | undefined {
  const [then, now] = [description, describeCard(card, { name: description.name, isMmapDisabled: false })].map(modelOf);
  return then!.ids === now!.ids
    ? undefined
    : `the trace is of ${then!.model} ${then!.ids}, this is ${now!.model} ${now!.ids}`;
}

const modelOf = ({ model, vendorId, deviceId }: CardDescription) => ({
  model,
  ids: [vendorId, deviceId].map((id) => id.toString(16).padStart(4, '0')).join(':'),
});

/** Injects the faults that the recorded card had. If another model cannot have them, the error says so first. */
export function applyRecordedFaults({ faults }: CardDescription, card: PciCard, link: SlotLink, other?: string): void {
  try {
    applyFaults(card, faults as FaultDeclaration[], link);
  } catch (error) {
    if (!(error instanceof FaultDeclarationError) || other === undefined) throw error;
    throw new ReplayError(`${other}, and the faults of the trace cannot be injected into it: ${error.message}`);
  }
}

/** How registers were changed, in words: it explains why a card diverges from its trace. */
export function registerChanges(recorded: readonly RegisterSpace[], now: readonly RegisterSpace[]): string[] {
  const [before, after] = [registersOf(recorded), registersOf(now)];
  const gone = [...before].flatMap(([name, was]) => {
    const is = after.get(name);
    return is === undefined ? [`${name} is not there any more`] : changesOf(name, was, is);
  });
  return [...gone, ...[...after.keys()].filter((name) => !before.has(name)).map((name) => `${name} is new`)];
}

const registersOf = (spaces: CardDescription['registers']): Map<string, NamedRegister> =>
  new Map(new RegisterNames(spaces).all.map((register) => [register.name, register]));

function changesOf(name: string, was: NamedRegister, is: NamedRegister): string[] {
  const change = (what: string, a: unknown, b: unknown) => (a === b ? [] : [`${name}: ${what} was ${a}, and is ${b}`]);
  const hex = (value: number | bigint) => `0x${value.toString(16)}`;
  return [
    ...change('place', place(was), place(is)),
    ...change('width', was.layout.width, is.layout.width),
    ...change('reset value', hex(was.layout.reset), hex(is.layout.reset)),
    ...change('fields', fieldsOf(was.layout), fieldsOf(is.layout)),
  ];
}

const place = ({ region, offset }: NamedRegister) => `${regionName(region)} + 0x${offset.toString(16)}`;

/** `BUSY[0] ro, CODE[11:8] rw` */
const fieldsOf = ({ fields }: RegisterLayout) =>
  fields.map(({ name, lsb, width }) => `${name}[${width > 1 ? `${lsb + width - 1}:` : ''}${lsb}]`).join(', ') || 'none';
