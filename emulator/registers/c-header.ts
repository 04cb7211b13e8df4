/**
 * Generates the C header for guest code from the register map that the card itself uses, so the two cannot differ. The
 * header has plain macros only: offsets, masks in place, shifts and names of field values, in valid C11.
 */
import { RegisterMapError } from './check';
import type { BlockSpec } from './declaration';
import { accessInWords, accessOf, blockSizeBytes, byOffset, meaningOf, survivesInWords } from './layout';
import { bitMask, type BlockArrayLayout, type FieldLayout, type RegisterLayout } from './register-layout';
import type { RegisterMap } from './map';

/** What a C header has beside the registers. */
export interface CHeaderOptions {
  /** Prefix of every macro, as in `PREFIX_ID`. */
  readonly prefix: string;
  /** Include guard. Default: `PREFIX_REGS_H`. */
  readonly guard?: string;
  /** First lines of the header: what it describes and what it is generated from. */
  readonly doc?: string;
  /** Little-endian structures in host memory. Each gets macros `PREFIX_NAME_…`, and its size in `PREFIX_NAME_SIZE`. */
  readonly structures?: Readonly<Record<string, BlockSpec>>;
}

interface Macro {
  readonly name: string;
  readonly parameters?: string;
  readonly value: string;
  readonly doc?: string;
}

/** Macros that belong together, under one comment. */
interface Section {
  readonly title: string;
  readonly macros: readonly Macro[];
}

/** What a group of registers belongs to: the map itself, an array of blocks, or a structure in memory. */
interface Scope {
  /** Prefix of the macro names. */
  readonly macro: string;
  /** Prefix of the names in comments. */
  readonly label: string;
  /** The macro for a register at `offset`, without its name. */
  readonly place: (offset: number) => Omit<Macro, 'name'>;
  /** Whether it is a structure in memory, which has no access rules. */
  readonly memory: boolean;
}

/** @throws RegisterMapError when two names result in the same macro */
export function cHeader(map: RegisterMap, options: CHeaderOptions): string {
  const { prefix, guard = `${prefix}_REGS_H`, doc = '', structures = {} } = options;
  const sections = [
    ...mapSections(prefix, map),
    ...map.blocks.flatMap((array) => blockSections(prefix, array)),
    ...Object.entries(structures).flatMap(([name, spec]) => structureSections(prefix, name, spec)),
  ];
  checkNames(sections);
  return [
    '/* SPDX-License-Identifier: Apache-2.0 */',
    blockComment(doc, 'Generated from the register map: change that, not this file.'),
    '/* clang-format off */',
    `#ifndef ${guard}`,
    `#define ${guard}`,
    '',
    '#include <stdint.h>',
    '',
    ...sections.map(renderSection),
    `#endif /* ${guard} */`,
    '',
  ].join('\n');
}

function mapSections(prefix: string, map: RegisterMap): Section[] {
  const place = (offset: number) => ({ value: hexOf(offset) });
  const top = map.registers.filter(({ block }) => !block);
  return [
    { title: 'Register window, in bytes.', macros: [{ name: `${prefix}_SIZE`, value: hexOf(map.sizeBytes) }] },
    ...registerSections({ macro: prefix, label: '', place, memory: false }, top),
  ];
}

function blockSections(prefix: string, array: BlockArrayLayout): Section[] {
  const { name, offset, stride, count, doc, registers } = array;
  const macro = `${prefix}_${name}`;
  const place = (inBlock: number) => ({ parameters: '(n)', value: `(${macro}(n) + ${hexOf(inBlock)})` });
  return [
    {
      title: `${name}[n]: ${count} ${count === 1 ? 'block' : 'blocks'} of registers, n from 0${survivesInWords(array)}. ${doc}`,
      macros: [
        { name: macro, parameters: '(n)', value: `(${hexOf(offset)} + (n) * ${hexOf(stride)})` },
        { name: `${macro}_BLOCK_COUNT`, value: `${count}u` },
      ],
    },
    ...registerSections({ macro, label: `${name}[n].`, place, memory: false }, byOffset(registers)),
  ];
}

function structureSections(prefix: string, name: string, spec: BlockSpec): Section[] {
  const macro = `${prefix}_${name}`;
  const place = (offset: number) => ({ value: hexOf(offset) });
  return [
    {
      title: `${name}: structure in host memory, little-endian. Size and offsets in bytes.`,
      macros: [{ name: `${macro}_SIZE`, value: `${blockSizeBytes(spec)}u` }],
    },
    ...registerSections({ macro, label: `${name}.`, place, memory: true }, byOffset(spec)),
  ];
}

function registerSections(scope: Scope, registers: readonly RegisterLayout[]): Section[] {
  return registers
    .filter((register) => accessOf(register) !== 'reserved')
    .map((register) => {
      const { name, width, offset, reset, fields, aliasOf } = register;
      const alias = aliasOf === undefined ? '' : ` Alias of ${aliasOf}, with the fields of that.`;
      const macro = `${scope.macro}_${name}`;
      return {
        title: `${scope.label}${name}: ${width} bits${scope.memory ? '' : `, ${accessInWords(register)}${survivesInWords(register)}`}.${alias} ${meaningOf(register)}`,
        macros: [
          { name: macro, ...scope.place(offset) },
          ...(reset === 0n ? [] : [{ name: `${macro}_RESET`, value: constant(reset, width) }]),
          ...(aliasOf === undefined ? fields : []).flatMap((field) =>
            fieldMacros(`${macro}_${field.name}`, register, field, scope),
          ),
        ],
      };
    });
}

function fieldMacros(macro: string, register: RegisterLayout, field: FieldLayout, { memory }: Scope): Macro[] {
  const { msb, lsb, values } = field;
  const range = msb === lsb ? `[${lsb}]` : `[${msb}:${lsb}]`;
  return [
    { name: `${macro}_SHIFT`, value: `${lsb}u` },
    {
      name: `${macro}_MASK`,
      value: constant(bitMask(msb, lsb), register.width),
      doc: `${range}${memory ? '' : ` ${accessInWords(field)}${survivesInWords(field, register)}`}. ${meaningOf(field)}`,
    },
    ...values.map(({ name, value }) => ({ name: `${macro}_${name}`, value: `${value}u` })),
  ];
}

function checkNames(sections: readonly Section[]): void {
  const seen = new Map<string, string>();
  for (const { title, macros } of sections) {
    for (const { name } of macros) {
      const earlier = seen.get(name);
      if (earlier !== undefined) {
        throw new RegisterMapError(
          `The C header would define ${name} twice: for '${earlier}' and for '${oneLine(title)}'.`,
        );
      }
      seen.set(name, oneLine(title));
    }
  }
}

function renderSection({ title, macros }: Section): string {
  const heads = macros.map(({ name, parameters = '' }) => `#define ${name}${parameters}`);
  const column = Math.max(...heads.map((head) => head.length)) + 1;
  const lines = macros.map(
    ({ value, doc }, index) => heads[index]!.padEnd(column) + value + (doc ? ` /* ${oneLine(doc)} */` : ''),
  );
  return [`/* ${oneLine(title)} */`, ...lines, ''].join('\n');
}

function blockComment(...paragraphs: readonly string[]): string {
  const lines = paragraphs
    .filter((paragraph) => paragraph !== '')
    .flatMap((paragraph) => ['', ...paragraph.split('\n')])
    .slice(1);
  return ['/*', ...lines.map((line) => ` * ${closed(line)}`.trimEnd()), ' */'].join('\n');
}

const hexOf = (value: number): string => `0x${value.toString(16).padStart(2, '0')}u`;

const constant = (value: bigint, width: number): string => {
  const digits = value.toString(16).padStart(width / 4, '0');
  return width === 64 ? `UINT64_C(0x${digits})` : `0x${digits}u`;
};

const oneLine = (text: string): string => closed(text.replace(/\s+/g, ' ').trim());

/** Text in a comment must neither end it nor look like the start of another. */
const closed = (text: string): string => text.replaceAll('*/', '* /').replaceAll('/*', '/ *');
