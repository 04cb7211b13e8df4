/**
 * Layout: turns declarations into a flat list of registers, with every default filled in and every offset absolute.
 * Errors inside one register are found here, errors between registers in `map.ts`.
 */
import { type Access } from './access';
import { layOutAlias, widthOf } from './alias';
import {
  checkAccess,
  checkAlignment,
  checkChoice,
  checkEntry,
  checkFields,
  checkFits,
  checkKeys,
  checkName,
  hex,
  RegisterMapError,
} from './check';
import {
  type BlockArrayDeclaration,
  type BlockSpec,
  CARD_EFFECTS,
  type CardEffect,
  type DetailedFieldDeclaration,
  type FieldDeclaration,
  isBlockArray,
  type MapSpec,
  type RegisterDeclaration,
  RESET_KINDS,
  type Role,
  ROLES,
  type SurvivableReset,
  type Survives,
} from './declaration';
import { bitMask, type BlockArrayLayout, type FieldLayout, type RegisterLayout } from './register-layout';

/** Every register of the map, in order of declaration; arrays of blocks are expanded. `survives`: of the whole map. */
export function layOutMap(spec: MapSpec, survives?: Survives): RegisterLayout[] {
  const entries = Object.entries(spec);
  const ownRegisters = entries.filter((entry): entry is [string, RegisterDeclaration] => !isBlockArray(entry[1]));
  const ownLayouts = layOutBlock(Object.fromEntries(ownRegisters), survives);
  const own = new Map(ownLayouts.map((register) => [register.name, register]));
  return entries.flatMap(([name, entry]) => {
    if (!isBlockArray(entry)) return [own.get(name)!];
    const { offset, stride, count, survives: ofBlocks } = layOutBlockArray(name, entry, survives);
    return Array.from({ length: count }, (_, index) => {
      const base = { path: `${name}[${index}]`, offset: offset + index * stride, name, index };
      return layOutBlock(entry.registers, ofBlocks, base);
    }).flat();
  });
}

/** The registers of one block; with `base`, at their place in a map. */
export function layOutBlock(
  spec: BlockSpec,
  survives?: Survives,
  base?: { path: string; offset: number; name: string; index: number },
): RegisterLayout[] {
  const entries = Object.entries(spec);
  const pathOf = (name: string): string => (base ? `${base.path}.${name}` : name);
  const targets = new Map(
    entries.flatMap(([name, declaration]) =>
      declaration.aliasOf === undefined
        ? [[name, layOutRegister(name, pathOf(name), declaration, survives)] as const]
        : [],
    ),
  );
  return entries.map(([name, declaration]) => {
    const { aliasOf } = declaration;
    const layout =
      aliasOf === undefined
        ? targets.get(name)!
        : layOutAlias(name, pathOf(name), { ...declaration, aliasOf }, targets, spec);
    if (!base) return layout;
    return { ...layout, offset: base.offset + layout.offset, block: { name: base.name, index: base.index } };
  });
}

/** The register's access, or `mixed` if one of its fields has another. */
export function accessOf({ access, fields }: RegisterLayout): Access | 'mixed' {
  return fields.some((field) => field.access !== access) ? 'mixed' : access;
}

/** For documents: the access, and what the card does to the bits. */
export function accessInWords(of: RegisterLayout | FieldLayout): string {
  const access = 'fields' in of && of.aliasOf === undefined ? accessOf(of) : of.access;
  return of.card === undefined ? access : `${access}, card ${of.card}`;
}

/** For documents: `, survives flr`, or '' for nothing. Of a field, only where that differs from its register. */
export function survivesInWords({ survives }: Kept, register: Kept = {}): string {
  const [own, whole] = [survives, register.survives].map((kinds = []) => kinds.join(', '));
  return own === whole ? '' : `, survives ${own || 'no reset'}`;
}
type Kept = Pick<RegisterLayout, 'survives'>;

/** For documents: what a register or field means. */
export function meaningOf({ doc, role }: RegisterLayout | FieldLayout): string {
  return role === 'error' ? `Error. ${doc}` : doc;
}

/** The registers of a block, sorted by offset from the start of the block. */
export function byOffset(spec: BlockSpec): RegisterLayout[] {
  return layOutBlock(spec).sort((a, b) => a.offset - b.offset);
}

/** Bytes from the start of the block to the end of its last register. */
export function blockSizeBytes(spec: BlockSpec): number {
  return Math.max(0, ...Object.values(spec).map((register) => register.offset + widthOf(register, spec) / 8));
}

export function layOutBlockArray(name: string, declaration: BlockArrayDeclaration, ofMap?: Survives): BlockArrayLayout {
  checkEntry(name, name, declaration, ['offset', 'stride', 'count', 'survives', 'doc', 'registers']);
  const { offset, count = 1, doc = '', registers } = declaration;
  const sizeBytes = blockSizeBytes(registers);
  const alignment = Math.max(1, ...Object.values(registers).map((register) => widthOf(register, registers) / 8));
  const stride = declaration.stride ?? Math.ceil(sizeBytes / alignment) * alignment;
  const label = `${name} (array of ${count} at ${hex(offset)}, stride ${hex(stride)})`;
  if (!Number.isInteger(count) || count < 1) {
    throw new RegisterMapError(`${label} must have a whole number of blocks, 1 or more.`);
  }
  if (count > 1 && declaration.stride === undefined) {
    throw new RegisterMapError(`${label} has several blocks: declare the stride from one to the next.`);
  }
  if (stride < sizeBytes) {
    throw new RegisterMapError(
      `${name}[0] and ${name}[1] overlap: the stride is ${hex(stride)} but a block takes ${hex(sizeBytes)} bytes.`,
    );
  }
  if (offset % alignment !== 0 || stride % alignment !== 0) {
    const widest = Object.entries(registers).find(([, one]) => widthOf(one, registers) / 8 === alignment)?.[0];
    throw new RegisterMapError(
      `${label} is misaligned: ${name}[].${widest} needs offset and stride to be multiples of ${alignment}.`,
    );
  }
  return { name, offset, stride, count, ...surviving(name, declaration.survives ?? ofMap), doc, registers };
}

function layOutRegister(
  name: string,
  path: string,
  declaration: RegisterDeclaration,
  ofBlock?: Survives,
): RegisterLayout {
  checkEntry(path, name, declaration, [
    'offset',
    'width',
    'access',
    'aliasOf',
    'reset',
    'survives',
    'doc',
    'role',
    'card',
    'fields',
  ]);
  const { offset, width = 32, access, doc = '' } = declaration;
  checkAccess(path, access);
  if (![8, 16, 32, 64].includes(width)) {
    throw new RegisterMapError(`${path} is ${width} bits wide: a register has 8, 16, 32 or 64 bits.`);
  }
  checkAlignment(path, width, offset);
  const survives = declaration.survives ?? ofBlock;
  const fields = Object.entries(declaration.fields ?? {})
    .map(([field, fieldDeclaration]) =>
      layOutField(
        `${path}.${field}`,
        field,
        { ...(survives && { survives }), ...expandField(fieldDeclaration) },
        access,
      ),
    )
    .sort((a, b) => a.lsb - b.lsb);
  const marks = { ...surviving(path, survives), ...marksOf(path, declaration) };
  const layout = { name, path, offset, width, access, reset: 0n, doc, fields, ...marks };
  checkFields(path, width, fields);
  return { ...layout, reset: resetValue(layout, declaration) };
}

/** The long form of a field. */
export function expandField(field: FieldDeclaration): DetailedFieldDeclaration {
  if (!isTuple(field)) return field;
  const bits = field.filter((part): part is number => typeof part === 'number') as [number] | [number, number];
  const doc = field.find((part) => typeof part === 'string');
  return doc === undefined ? { bits } : { bits, doc };
}

const isTuple = (field: FieldDeclaration): field is Exclude<FieldDeclaration, DetailedFieldDeclaration> =>
  Array.isArray(field);

function layOutField(
  path: string,
  name: string,
  declaration: DetailedFieldDeclaration,
  registerAccess: Access,
): FieldLayout {
  checkName(path, name);
  checkKeys(path, declaration, ['bits', 'access', 'reset', 'survives', 'doc', 'role', 'card', 'values']);
  const [msb, lsb = msb] = declaration.bits;
  if (!Number.isInteger(msb) || !Number.isInteger(lsb) || lsb < 0 || msb < lsb) {
    throw new RegisterMapError(`${path} has bits [${declaration.bits.join(', ')}]: use [bit] or [msb, lsb].`);
  }
  if (registerAccess === 'reserved' && declaration.access === undefined) {
    throw new RegisterMapError(
      `${path} lies on reserved bits: its register is reserved, so declare an access for the field.`,
    );
  }
  const width = msb - lsb + 1;
  const values = Object.entries(declaration.values ?? {}).map(([valueName, value]) => {
    checkFits(`${path} value ${valueName}`, value, width);
    return { name: valueName, value };
  });
  const { access = registerAccess, doc = '' } = declaration;
  checkAccess(path, access);
  const marks = { ...surviving(path, declaration.survives), ...marksOf(path, declaration) };
  return { name, msb, lsb, width, access, doc, values, ...marks };
}

const SURVIVABLE = RESET_KINDS.filter((kind): kind is SurvivableReset => kind !== 'power');

/** The property `survives` of a layout; none where no reset is survived. */
function surviving(path: string, survives: Survives = []): { survives?: readonly SurvivableReset[] } {
  const kinds = survives === 'sticky' ? SURVIVABLE : survives;
  const wrong = kinds.find((kind) => !SURVIVABLE.includes(kind));
  if (wrong !== undefined) {
    throw new RegisterMapError(
      `${path} survives '${wrong}': what a value can survive is ${SURVIVABLE.join(', ')}, or all of them: 'sticky'.`,
    );
  }
  return kinds.length > 0 ? { survives: kinds } : {};
}

/** What is declared for tools and documents. */
function marksOf(path: string, { role, card }: { role?: Role; card?: CardEffect }): { role?: Role; card?: CardEffect } {
  checkChoice(path, 'the role', role, ROLES);
  checkChoice(path, 'the card effect', card, CARD_EFFECTS);
  return { ...(role && { role }), ...(card && { card }) };
}

/** The register's reset value, with the reset values of its fields put in. */
function resetValue(layout: RegisterLayout, declaration: RegisterDeclaration): bigint {
  const { path, width, access, fields } = layout;
  checkFits(`${path} reset value`, declaration.reset ?? 0, width);
  let value = BigInt(declaration.reset ?? 0);
  for (const field of fields) {
    const own = expandField(declaration.fields![field.name]!).reset;
    if (own === undefined) continue;
    checkFits(`${path}.${field.name} reset value`, own, field.width);
    const inPlace = BigInt(own) << BigInt(field.lsb);
    if (declaration.reset !== undefined && (value & bitMask(field.msb, field.lsb)) !== inPlace) {
      throw new RegisterMapError(
        `${path}.${field.name} resets to ${hex(own)}, but ${path} resets to ${hex(declaration.reset)}: declare one of them.`,
      );
    }
    value |= inPlace;
  }
  const present = presentBits(width, access, fields);
  if ((value & ~present) !== 0n) {
    throw new RegisterMapError(
      `${path} resets to ${hex(value)}, which sets reserved bits (${hex(value & ~present)}): no field covers them.`,
    );
  }
  return value;
}

function presentBits(width: number, access: Access, fields: readonly FieldLayout[]): bigint {
  if (fields.length === 0) return access === 'reserved' ? 0n : bitMask(width - 1, 0);
  return fields
    .filter((field) => field.access !== 'reserved')
    .reduce((bits, field) => bits | bitMask(field.msb, field.lsb), 0n);
}
