/**
 * Aliases: registers without a state of their own, which access another register with another access kind, such as
 * `CONTROL_W1S` and `CONTROL_W1C` beside `CONTROL`.
 */
import { ACCESS_KINDS } from './access';
import { checkAccess, checkAlignment, checkEntry, RegisterMapError } from './check';
import type { BlockSpec, RegisterDeclaration } from './declaration';
import type { RegisterLayout } from './register-layout';
import { nearestNames } from './nearest-names';

const KEYS = ['offset', 'width', 'access', 'aliasOf', 'doc'];
const OF_TARGET = ['reset', 'survives', 'fields', 'role', 'card'];

/** The width of a register, which for an alias may be declared at its target only. */
export function widthOf(
  { width, aliasOf }: RegisterDeclaration,
  beside: Readonly<Record<string, unknown>>,
): RegisterLayout['width'] {
  const target = aliasOf === undefined ? undefined : (beside[aliasOf] as Partial<RegisterDeclaration> | undefined);
  return width ?? target?.width ?? 32;
}

/** @param targets the registers beside it that are no aliases */
export function layOutAlias(
  name: string,
  path: string,
  declaration: RegisterDeclaration & { readonly aliasOf: string },
  targets: ReadonlyMap<string, RegisterLayout>,
  beside: BlockSpec,
): RegisterLayout {
  const { offset, access, aliasOf, doc = '', width } = declaration;
  const target = targets.get(aliasOf);
  if (!target)
    throw new RegisterMapError(`${path} is an alias of '${aliasOf}', ${whyNot(aliasOf, name, targets, beside)}.`);
  const surplus = OF_TARGET.find((key) => key in declaration);
  if (surplus !== undefined) {
    throw new RegisterMapError(`${path} is an alias of ${target.path}, which has the ${surplus}: leave it out here.`);
  }
  checkEntry(path, name, declaration, KEYS);
  checkAccess(path, access);
  if (width !== undefined && width !== target.width) {
    throw new RegisterMapError(
      `${path} has ${width} bits and is an alias of ${target.path}, which has ${target.width}: leave its width out.`,
    );
  }
  checkAlignment(path, target.width, offset);
  const { shows } = ACCESS_KINDS.get(access)!.read;
  const fields = target.fields.map((field) => {
    const isUnchangeable = field.access === 'ro' || field.access === 'reserved';
    if (field.access === target.access || !isUnchangeable) return { ...field, access };
    return shows ? field : { ...field, access: 'reserved' as const };
  });
  return { name, path, offset, width: target.width, access, reset: 0n, doc, fields, aliasOf: target.path };
}

function whyNot(wanted: string, name: string, targets: ReadonlyMap<string, RegisterLayout>, beside: BlockSpec): string {
  if (wanted === name) return 'which is itself';
  const further = beside[wanted]?.aliasOf;
  if (further !== undefined) return `which is an alias itself: name the register, ${further}`;
  const nearest = nearestNames(wanted, [...targets.keys()]);
  return `and there is no such register beside it; ${nearest.length > 0 ? `the nearest are ${nearest.join(', ')}` : 'there is none'}`;
}
