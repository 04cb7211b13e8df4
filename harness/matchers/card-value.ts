/** Registers of any card by name: `STATUS`, `STATUS.DONE`, `H2C[0].STATUS`, and `BAR2:STATUS` when several BARs have one. */
import { type PciCard } from '../../emulator/pci/index.ts';
import { type FieldLayout, type RegisterLayout } from '../../emulator/registers/index.ts';
import { NamePattern, unknownName } from '../../emulator/registers/name-pattern.ts';
import { RegisterNames } from '../../instrumentation/trace/index.ts';

export interface CardValue {
  /** As given by the test. */
  readonly path: string;
  readonly bar: number;
  readonly register: RegisterLayout;
  /** When `path` names a field. */
  readonly field: FieldLayout | undefined;
  /** From the hardware's side: no side effects, and no read hooks. */
  get(): bigint;
  getRegister(): bigint;
}

/** @throws RangeError, with the nearest names, when the card has no such register, or several */
export function findValue(card: PciCard, path: string): CardValue {
  const { registerFiles } = card.inspection;
  const pattern = new NamePattern(path);
  const registers = RegisterNames.of(card).all.filter(
    ({ region, structure }) => registerFiles.has(region) && structure === '',
  );
  const found = registers.flatMap(({ name, region: bar, layout: register, ...rest }) => {
    const spelt = { name, layout: register, ...rest };
    const fields = pattern.fieldsIn(spelt);
    if (fields.length === 0 && !pattern.isRegister(spelt)) return [];
    return (fields.length > 0 ? fields : [undefined]).map((field) => ({ name, bar, register, field }));
  });
  const [first, second] = found;
  if (first === undefined) throw new RangeError(`${unknownName('the card', 'register or field', path, registers)}.`);
  if (second !== undefined) {
    const choices = found.map(({ name, field }) => `'${name}${field ? `.${field.name}` : ''}'`).join(' or ');
    throw new RangeError(`'${path}' is several registers of the card: write ${choices}.`);
  }
  const { bar, register, field } = first;
  const file = registerFiles.get(bar)!;
  const getRegister = () => BigInt(file.get(register.path));
  const get = () => (field ? BigInt(file.get(`${register.path}.${field.name}`)) : getRegister());
  return { path, bar, register, field, get, getRegister };
}
