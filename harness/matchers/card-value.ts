/** Registers of any card by name: `STATUS`, `STATUS.DONE`, `H2C[0].STATUS`, and `BAR2:STATUS` when several BARs have one. */
import { type PciCard } from '../../emulator/pci';
import { type FieldLayout, type RegisterFile, type RegisterLayout } from '../../emulator/registers';
import { distanceBetween } from '../../emulator/registers/nearest-names';

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

const WITH_BAR = /^BAR(\d):(.+)$/;

/** @throws RangeError, with the names that there are, when the card has no such register, or several */
export function findValue(card: PciCard, path: string): CardValue {
  const { registerFiles } = card.inspection;
  const [, barDigits, rest] = WITH_BAR.exec(path) ?? [];
  const name = rest ?? path;
  const found = [...registerFiles].flatMap(([bar, file]) => {
    if (barDigits !== undefined && bar !== Number(barDigits)) return [];
    const place = placeIn(file, name);
    return place ? [{ path, bar, ...place }] : [];
  });
  if (found.length === 1) return found[0]!;
  if (found.length > 1) {
    const choices = found.map(({ bar }) => `'BAR${bar}:${name}'`).join(' or ');
    throw new RangeError(`'${name}' is in several BARs of this card: write ${choices}.`);
  }
  throw new RangeError(`This card has no register or field '${path}'. ${hintFor(registerFiles, name)}`);
}

function placeIn(file: RegisterFile, name: string): Omit<CardValue, 'path' | 'bar'> | undefined {
  for (const register of file.map.registers) {
    const field = register.fields.find((candidate) => `${register.path}.${candidate.name}` === name);
    if (register.path !== name && !field) continue;
    const getRegister = () => BigInt(file.get(register.path));
    return { register, field, getRegister, get: () => BigInt(file.get(name)) };
  }
  return undefined;
}

/** Similar names, or all names when there are few. */
function hintFor(files: ReadonlyMap<number, RegisterFile>, name: string): string {
  const registers = [...files.values()].flatMap(({ map }) => map.registers);
  if (registers.length === 0) return 'It has no registers.';
  const owner = registers.find(({ path }) => name.startsWith(`${path}.`));
  if (owner) {
    const fields = owner.fields.map((field) => field.name).join(', ');
    return fields === '' ? `${owner.path} has no fields.` : `${owner.path} has the fields ${fields}.`;
  }
  const known = registers.map(({ path }) => path);
  const near = known.filter((path) => distanceBetween(path, name) <= 2);
  if (near.length > 0) return `Did you mean ${near.join(' or ')}?`;
  const shown = known.slice(0, 30).join(', ');
  return `It has ${shown}${known.length > 30 ? ` and ${known.length - 30} more` : ''}.`;
}
