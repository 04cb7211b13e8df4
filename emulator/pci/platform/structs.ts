/**
 * Structures that a card shows in its register space and a kernel module reads. Each is declared once as a list of
 * members, from which the bytes, the C declaration (c-declarations.ts) and the documentation (markdown.ts) are generated.
 * Little-endian, every number naturally aligned, so that C needs no packing.
 */
export type NumberType = 'le16' | 'le32' | 'le64';

export type Member = { readonly name: string; readonly doc: string } & (
  | { readonly type: NumberType }
  /** Text of at most `text` - 1 ASCII characters; the rest is 0. */
  | { readonly text: number }
  | { readonly of: Struct; readonly count: number }
);

export interface Struct {
  /** Its name in C: `struct NAME`. */
  readonly name: string;
  readonly doc: string;
  readonly members: readonly Member[];
}

export type Value = number | bigint | string | readonly Values[];
export type Values = { readonly [member: string]: Value };

const NUMBER_BYTES: Record<NumberType, number> = { le16: 2, le32: 4, le64: 8 };

/** Size of a member in bytes. */
export function memberBytes(member: Member): number {
  if ('type' in member) return NUMBER_BYTES[member.type];
  return 'text' in member ? member.text : member.count * structBytes(member.of);
}

/** Size of a structure in bytes; equal to C's sizeof. */
export const structBytes = ({ members }: Struct): number =>
  members.reduce((sum, member) => sum + memberBytes(member), 0);

/** The members with the offset of each in bytes. */
export function placedMembers({ members }: Struct): { member: Member; offset: number }[] {
  let offset = 0;
  return members.map((member) => {
    const placed = { member, offset };
    offset += memberBytes(member);
    return placed;
  });
}

/** The alignment of a structure in C: that of its widest number. */
export function alignmentOf(struct: Struct): number {
  return Math.max(1, ...struct.members.map((member) => alignmentOfMember(member)));
}

export function alignmentOfMember(member: Member): number {
  if ('type' in member) return NUMBER_BYTES[member.type];
  return 'text' in member ? 1 : alignmentOf(member.of);
}

/** Writes a structure to `offset` of `view`, which is zeroed there. Members without a value stay 0. */
export function writeStruct(view: DataView, offset: number, struct: Struct, values: Values): void {
  const unknown = Object.keys(values).find((name) => !struct.members.some((member) => member.name === name));
  if (unknown !== undefined) throw new RangeError(`struct ${struct.name} has no member '${unknown}'`);
  for (const { member, offset: place } of placedMembers(struct)) {
    const value = values[member.name];
    if (value !== undefined) writeMember(view, offset + place, member, value);
  }
}

function writeMember(view: DataView, offset: number, member: Member, value: Value): void {
  if ('type' in member) return writeNumber(view, offset, member.type, value as number | bigint);
  if ('text' in member) {
    const bytes = Buffer.from(value as string, 'latin1');
    if (bytes.length >= member.text) throw new RangeError(`${member.name} '${String(value)}' is too long`);
    new Uint8Array(view.buffer, view.byteOffset + offset, bytes.length).set(bytes);
    return;
  }
  const elements = value as readonly Values[];
  if (elements.length > member.count)
    throw new RangeError(`${elements.length} ${member.name}: at most ${member.count} fit`);
  for (const [index, element] of elements.entries()) {
    writeStruct(view, offset + index * structBytes(member.of), member.of, element);
  }
}

function writeNumber(view: DataView, offset: number, type: NumberType, value: number | bigint): void {
  if (type === 'le16') view.setUint16(offset, Number(value), true);
  else if (type === 'le32') view.setUint32(offset, Number(value), true);
  else view.setBigUint64(offset, BigInt(value), true);
}
