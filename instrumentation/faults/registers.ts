/** Registers and fields as faults name them: `STATUS`, `H2C[0].DOORBELL`, `H2C[*].STATUS.BUSY`, `config:COMMAND`. */
import { type FieldLayout } from '../../emulator/registers';
import { NamePattern, unknownName } from '../../emulator/registers/name-pattern';
import { type PciCard } from '../../emulator/pci';
import { type NamedRegister, RegisterNames } from '../trace';
import { FaultDeclarationError } from './parameters';

const known = new WeakMap<PciCard, RegisterNames>();

/** Those of a card that has been made; they do not change after that. */
export function namesOf(card: PciCard): RegisterNames {
  const names = known.get(card) ?? RegisterNames.of(card);
  known.set(card, names);
  return names;
}

/** All registers that the name stands for. */
export function registersNamed(names: RegisterNames, wanted: string): NamedRegister[] {
  const pattern = new NamePattern(wanted);
  const found = names.all.filter((register) => pattern.isRegister(register));
  if (found.length === 0) throw new FaultDeclarationError(unknownName('the card', 'register', wanted, names.all));
  return checkMeant(wanted, found, ({ name }) => name);
}

export interface NamedField {
  readonly register: NamedRegister;
  readonly field: FieldLayout;
}

export function fieldsNamed(names: RegisterNames, wanted: string): NamedField[] {
  const pattern = new NamePattern(wanted);
  const found = names.all.flatMap((register) => pattern.fieldsIn(register).map((field) => ({ register, field })));
  if (found.length === 0) throw new FaultDeclarationError(unknownName('the card', 'field', wanted, names.all));
  return checkMeant(wanted, found, ({ register, field }) => `${register.name}.${field.name}`);
}

/** A name without `*` that several BARs have is refused. */
function checkMeant<T>(wanted: string, found: T[], nameOf: (one: T) => string): T[] {
  if (found.length === 1 || wanted.includes('*')) return found;
  throw new FaultDeclarationError(
    `'${wanted}' is in several BARs of the card: write ${found.map(nameOf).join(' or ')}`,
  );
}
