/**
 * Generates the register tables of the documentation from the map: one for the registers of the map itself, one for
 * each kind of block, one for each structure in memory.
 */
import type { BlockSpec } from './declaration';
import { accessInWords, blockSizeBytes, byOffset, meaningOf, survivesInWords } from './layout';
import { bitMask, type BlockArrayLayout, type FieldLayout, type RegisterLayout } from './register-layout';
import type { RegisterMap } from './map';

/** What the tables have beside the registers. */
export interface MarkdownOptions {
  /** Structures in host memory, by their name in the C header. */
  readonly structures?: Readonly<Record<string, BlockSpec>>;
  /** Level of the headings above the tables. Default: 3. */
  readonly headingLevel?: number;
}

/** The register tables of a map for a document, in Markdown. */
export function markdownTable(map: RegisterMap, options: MarkdownOptions = {}): string {
  const heading = '#'.repeat(options.headingLevel ?? 3);
  const digits = (map.sizeBytes - 1).toString(16).length;
  const top = map.registers.filter(({ block }) => !block);
  const sections = [
    ...(top.length > 0 ? [[`${heading} Registers`, '', ...registerTable(top, digits)]] : []),
    ...kindsOfBlocks(map.blocks).map((arrays) => [
      `${heading} ${arrays.map(({ name }) => `\`${name}[n]\``).join(' and ')}`,
      '',
      ...arrays.map((array) => placeOf(array, digits)),
      '',
      ...registerTable(byOffset(arrays[0]!.registers), 2),
    ]),
    ...Object.entries(options.structures ?? {}).map(([name, spec]) => [
      `${heading} \`${name}\` in host memory`,
      '',
      `${blockSizeBytes(spec)} bytes, little-endian.`,
      '',
      ...structureTable(spec),
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

function placeOf(array: BlockArrayLayout, digits: number): string {
  const { name, offset, stride, count, doc } = array;
  const first = hexOf(offset, digits);
  const where =
    count === 1
      ? `\`${name}[0]\` is at \`${first}\``
      : `\`${name}[n]\` is at \`${first} + n * ${hexOf(stride)}\`, n from 0 to ${count - 1}`;
  return `- ${where}${survivesInWords(array)}. ${cell(doc)}`.trimEnd();
}

function registerTable(registers: readonly RegisterLayout[], digits: number): string[] {
  const rows = registers.flatMap((register) => {
    const { offset, name, width, reset, fields, aliasOf } = register;
    const [place, bits] = [code(hexOf(offset, digits)), range(width - 1, 0)];
    if (aliasOf !== undefined) {
      const meaning = `Alias of ${code(aliasOf.split('.').at(-1)!)}. ${meaningOf(register)}`;
      return [[place, code(name), bits, register.access, '', meaning]];
    }
    const after = `${code(hexOf(reset))}${survivesInWords(register)}`;
    return [
      [place, code(name), bits, accessInWords(register), after, meaningOf(register)],
      ...fields.map((field) => {
        const { msb, lsb } = field;
        const value = `${(reset & bitMask(msb, lsb)) >> BigInt(lsb)}${survivesInWords(field, register)}`;
        const access = accessInWords(field);
        return ['', code(`${name}.${field.name}`), range(msb, lsb), access, value, withValues(field)];
      }),
    ];
  });
  return table(['Offset', 'Name', 'Bits', 'Access', 'Reset', 'Meaning'], rows);
}

/** Memory has neither access rules nor reset values. */
function structureTable(spec: BlockSpec): string[] {
  const rows = byOffset(spec).flatMap(({ offset, name, width, doc, fields }) => [
    [code(hexOf(offset, 2)), code(name), range(width - 1, 0), doc],
    ...fields.map((field) => ['', code(`${name}.${field.name}`), range(field.msb, field.lsb), withValues(field)]),
  ]);
  return table(['Offset', 'Name', 'Bits', 'Meaning'], rows);
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]) => `| ${cells.map(cell).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)];
}

const withValues = (field: FieldLayout): string =>
  `${meaningOf(field)} ${field.values.map(({ name, value }) => `${value}: ${name}`).join(', ')}`;

const code = (text: string): string => `\`${text}\``;

const cell = (text: string): string => text.replace(/\s+/g, ' ').trim().replaceAll('|', '\\|');

const range = (msb: number, lsb: number): string => (msb === lsb ? `${lsb}` : `${msb}:${lsb}`);

const hexOf = (value: number | bigint, digits = 0): string => `0x${value.toString(16).padStart(digits, '0')}`;
