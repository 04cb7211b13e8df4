/** Registers and fields as faults name them: `STATUS`, `H2C[0].DOORBELL`, `H2C[*].STATUS.BUSY`, `config:COMMAND`. */
import { type FieldLayout } from '../../emulator/registers';
import { nearestNames } from '../../emulator/registers/nearest-names';
import { type NamedRegister, type RegisterNames } from '../trace';
import { FaultDeclarationError } from './parameters';

/** All registers that the name stands for. */
export function registersNamed(names: RegisterNames, wanted: string): NamedRegister[] {
  const found = names.all.filter((register) => isNamed(register, wanted));
  if (found.length > 0) return found;
  const all = names.all.map(({ name }) => name);
  throw unknown('register', wanted, all);
}

export interface NamedField {
  readonly register: NamedRegister;
  readonly field: FieldLayout;
}

export function fieldsNamed(names: RegisterNames, wanted: string): NamedField[] {
  const [, registerName = '', fieldName = ''] = /^(.*)\.([^.]+)$/.exec(wanted) ?? [];
  const found = names.all
    .filter((register) => isNamed(register, registerName))
    .flatMap((register) =>
      register.layout.fields.filter(({ name }) => name === fieldName).map((field) => ({ register, field })),
    );
  if (found.length > 0) return found;
  const all = names.all.flatMap(({ name, layout }) => layout.fields.map((field) => `${name}.${field.name}`));
  throw unknown('field', wanted, all);
}

/** With or without its BAR; `[*]` is any index. */
function isNamed({ name, region, layout }: NamedRegister, wanted: string): boolean {
  if (!wanted.includes('[*]')) return name === wanted || `BAR${region}:${layout.path}` === wanted;
  const pattern = new RegExp(`^${wanted.split('[*]').map(literally).join('\\[\\d+\\]')}$`);
  return pattern.test(name) || pattern.test(`BAR${region}:${layout.path}`);
}

const literally = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');

function unknown(what: string, wanted: string, names: readonly string[]): FaultDeclarationError {
  const nearest = nearestNames(wanted.replaceAll('[*]', '[0]'), names);
  return new FaultDeclarationError(
    names.length === 0
      ? `the card has no ${what}s, and '${wanted}' cannot be one; use bar and offset`
      : `the card has no ${what} '${wanted}'; the nearest are ${nearest.join(', ')}`,
  );
}
