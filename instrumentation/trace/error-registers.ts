/** The registers of a card that report errors, by the role `error` in its register map. */
import { type PciCard } from '../../emulator/pci';
import { bitsWithRole, type RegisterHandle } from '../../emulator/registers';
import { ACCESS_KINDS } from '../../emulator/registers/access';
import { type NamedRegister, type RegisterNames } from './names';

export interface ErrorRegister {
  readonly at: NamedRegister;
  readonly stored: RegisterHandle;
  /** Its errors: bits, and what they are called. */
  readonly errors: readonly { readonly name: string; readonly mask: bigint }[];
  /** Where it can be read: at its own place, and at those of its aliases. */
  readonly places: readonly NamedRegister[];
}

export function errorRegistersOf(card: PciCard, names: RegisterNames): ErrorRegister[] {
  const { registerFiles } = card.inspection;
  const own = names.all.filter(({ region, structure }) => structure === '' && registerFiles.has(region));
  return own.flatMap((at): ErrorRegister[] => {
    const { path } = at.layout;
    const errors = bitsWithRole([at.layout], 'error')
      .filter(isReported)
      .map(({ field, mask }) => ({ name: field ? `${at.name}.${field.name}` : at.name, mask }));
    if (errors.length === 0) return [];
    const stored = registerFiles.get(at.region)!.register(path) as RegisterHandle;
    const places = own.filter(({ region, layout }) => region === at.region && (layout.aliasOf ?? layout.path) === path);
    return [{ at, stored, errors, places }];
  });
}

/** Bits that only the driver sets report nothing: they are a mask of errors, with the same fields. */
function isReported({ register, field }: ReturnType<typeof bitsWithRole>[number]): boolean {
  const { access, card } = field ?? register;
  const { one, zero } = ACCESS_KINDS.get(access)!.write;
  return card !== undefined || ![one, zero].some((outcome) => outcome === 'set' || outcome === 'toggle');
}
