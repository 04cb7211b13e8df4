/**
 * The register tables of the documentation, generated from the map: one table for the registers of the map itself, one
 * for each kind of block, one for each structure in memory.
 */
import type { BlockSpec } from './declaration';
import {
  type BlockArrayLayout,
  byOffset,
  bitMask,
  blockSizeBytes,
  type FieldLayout,
  type RegisterLayout,
} from './layout';
import type { RegisterMap } from './map';

export interface MarkdownOptions {
  /** Structures in host memory, by the name they have in the C header. */
  readonly structures?: Readonly<Record<string, BlockSpec>>;
  /** Level of the headings above the tables; 3 when left out. */
  readonly headingLevel?: number;
}

const HEAD = ['| Offset | Name | Bits | Access | Reset | Meaning |', '|---|---|---|---|---|---|'];

export function markdownTable(map: RegisterMap, options: MarkdownOptions = {}): string {
  const heading = '#'.repeat(options.headingLevel ?? 3);
  const digits = (map.sizeBytes - 1).toString(16).length;
  const top = map.registers.filter(({ block }) => !block);
  const sections = [
    ...(top.length > 0 ? [[`${heading} Registers`, '', ...table(top, digits)]] : []),
    ...kindsOfBlocks(map.blocks).map((arrays) => [
      `${heading} ${arrays.map(({ name }) => `\`${name}[n]\``).join(' and ')}`,
      '',
      ...arrays.map((array) => placeOf(array, digits)),
      '',
      ...table(byOffset(arrays[0]!.registers), 2),
    ]),
    ...Object.entries(options.structures ?? {}).map(([name, spec]) => [
      `${heading} \`${name}\` in host memory`,
      '',
      `${blockSizeBytes(spec)} bytes, little-endian.`,
      '',
      ...table(byOffset(spec), 2),
    ]),
  ];
  return sections.map((lines) => `${lines.join('\n')}\n`).join('\n');
}

/** Arrays of the same block share a table. */
function kindsOfBlocks(arrays: readonly BlockArrayLayout[]): BlockArrayLayout[][] {
  const kinds = new Map<BlockSpec, BlockArrayLayout[]>();
  for (const array of arrays) kinds.set(array.registers, [...(kinds.get(array.registers) ?? []), array]);
  return [...kinds.values()];
}

function placeOf({ name, offset, stride, count, doc }: BlockArrayLayout, digits: number): string {
  const where =
    count === 1
      ? `\`${name}[0]\` is at \`${hexOf(offset, digits)}\``
      : `\`${name}[n]\` is at \`${hexOf(offset, digits)} + n * ${hexOf(stride, 0)}\`, n from 0 to ${count - 1}`;
  return `- ${where}. ${cell(doc)}`.trimEnd();
}

function table(registers: readonly RegisterLayout[], digits: number): string[] {
  return [...HEAD, ...registers.flatMap((register) => [registerRow(register, digits), ...fieldRows(register)])];
}

function registerRow({ offset, name, width, access, reset, doc, fields }: RegisterLayout, digits: number): string {
  const own = fields.some((field) => field.access !== access) ? 'mixed' : access;
  return row(`\`${hexOf(offset, digits)}\``, `\`${name}\``, range(width - 1, 0), own, `\`${hexOf(reset, 0)}\``, doc);
}

function fieldRows({ name, reset, fields }: RegisterLayout): string[] {
  return fields.map((field) => {
    const own = (reset & bitMask(field.msb, field.lsb)) >> BigInt(field.lsb);
    return row('', `\`${name}.${field.name}\``, range(field.msb, field.lsb), field.access, `${own}`, meaningOf(field));
  });
}

const meaningOf = ({ doc, values }: FieldLayout): string =>
  `${doc} ${values.map(({ name, value }) => `${value}: ${name}`).join(', ')}`;

const row = (...cells: readonly string[]): string => `| ${cells.map(cell).join(' | ')} |`;

const cell = (text: string): string => text.replace(/\s+/g, ' ').trim().replaceAll('|', '\\|');

const range = (msb: number, lsb: number): string => (msb === lsb ? `${lsb}` : `${msb}:${lsb}`);

const hexOf = (value: number | bigint, digits: number): string => `0x${value.toString(16).padStart(digits, '0')}`;
