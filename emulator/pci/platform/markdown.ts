/** The tables of docs/platform-devices.md that describe the table's structures. */
import { STRUCTS } from './layout';
import { type Member, placedMembers, type Struct, structBytes } from './structs';

export const structTables = (): string => STRUCTS.map(section).join('\n');

function section(struct: Struct): string {
  const digits = (structBytes(struct) - 1).toString(16).length;
  const rows = placedMembers(struct).map(
    ({ member, offset }) =>
      `| \`0x${offset.toString(16).padStart(digits, '0')}\` | \`${member.name}\` | ${kindOf(member)} | ${member.doc} |`,
  );
  return [
    `### \`${struct.name}\``,
    '',
    `${struct.doc} ${structBytes(struct)} bytes.`,
    '',
    '| Offset | Name | Kind | Meaning |',
    '| --- | --- | --- | --- |',
    ...rows,
    '',
  ].join('\n');
}

function kindOf(member: Member): string {
  if ('type' in member) return `${member.type.slice(2)} bits`;
  if ('text' in member) return `text, ${member.text} bytes`;
  return `${member.count} \`${member.of.name}\``;
}
