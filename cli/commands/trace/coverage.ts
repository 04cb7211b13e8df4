/** `ghostcard trace coverage`: which registers were accessed, and what was accessed that the card does not model. */
import { Command } from 'commander';
import {
  type CardCoverage,
  CoverageCounter,
  type RegisterUse,
  type UnmodelledUse,
} from '../../../instrumentation/analysis';
import { printable, regionName } from '../../../instrumentation/trace';
import { print } from '../../common/output';
import { countEvents } from './open';

interface CoverageOptions {
  readonly fields?: true;
  readonly config?: true;
  readonly json?: true;
}

export function coverageCommand(): Command {
  return new Command('coverage')
    .description('Print which registers were never accessed, and what was accessed that the card does not model.')
    .argument('<file>', 'the recording')
    .option('--fields', 'also fields that never changed from their value after a reset')
    .option('--config', 'also configuration space')
    .option('--json', 'print it as JSON')
    .action((file: string, options: CoverageOptions) => {
      const counter = new CoverageCounter();
      const missing = countEvents(file, counter);
      const coverage = counter.result();
      if (options.json) return print(JSON.stringify({ ...coverage, ...missing }, undefined, 2));
      for (const card of coverage.cards) show(card, options);
      for (const warning of missing.notSeen) print(`# ${warning}`);
    });
}

function show(coverage: CardCoverage, { fields, config }: CoverageOptions): void {
  const { name, registers, touched, unmodelled, unmodelledConfig } = coverage;
  const share = registers.length === 0 ? '' : ` (${Math.floor((100 * touched) / registers.length)} %)`;
  print(`${name}: ${touched} of ${registers.length} registers accessed${share}`);
  list('never accessed', untouched(registers));
  list(
    'never written',
    registers
      .filter(({ isWritable, reads, writes }) => isWritable && reads > 0 && writes === 0)
      .map(({ name }) => name),
  );
  if (fields) {
    const used = registers.filter(({ reads, writes }) => reads + writes > 0);
    list(
      'unchanged since a reset',
      used.flatMap(({ name, unchangedFields }) => unchangedFields.map((field) => `${name}.${field}`)),
    );
  }
  list('not modelled', together(unmodelled));
  if (config) list('not modelled in configuration space', together(unmodelledConfig));
}

/** Blocks without any access are one item. */
function untouched(registers: readonly RegisterUse[]): string[] {
  const blocks = new Map<string, RegisterUse[]>();
  for (const register of registers) {
    const [, block = register.name] = /^(.*)\.\w+$/.exec(register.name) ?? [];
    blocks.set(block, [...(blocks.get(block) ?? []), register]);
  }
  return [...blocks].flatMap(([block, all]) => {
    const unused = all.filter(({ reads, writes }) => reads + writes === 0);
    const isWhole = unused.length === all.length && all.length > 1;
    return isWhole ? `${block}: all ${all.length} registers` : unused.map(({ name }) => name);
  });
}

function list(title: string, items: readonly string[]): void {
  if (items.length > 0) print(`\n${title}:\n${items.map((item) => `  ${printable(item)}`).join('\n')}`);
}

/** `BAR0 + 0x40 (4 bytes): 2 reads, 1 write`; neighbours that were used alike are one range. */
function together(uses: readonly UnmodelledUse[]): string[] {
  const lines: string[] = [];
  for (let first = 0, next: number; first < uses.length; first = next) {
    next = first + 1;
    while (next < uses.length && follows(uses[next - 1]!, uses[next]!)) next++;
    const { region, offset, sizeBytes, reads, writes } = uses[first]!;
    const where = `${regionName(region)} + 0x${offset.toString(16)}`;
    const last = uses[next - 1]!.offset + sizeBytes - 1;
    const range = next - first > 1 ? ` to 0x${last.toString(16)}` : '';
    const each = next - first > 1 ? ' each' : '';
    const counts = [reads > 0 && count(reads, 'read'), writes > 0 && count(writes, 'write')].filter(Boolean).join(', ');
    lines.push(`${where}${range} (${count(sizeBytes, 'byte')}${each}): ${counts}${each}`);
  }
  return lines;
}

const follows = (a: UnmodelledUse, b: UnmodelledUse): boolean =>
  b.region === a.region &&
  b.offset === a.offset + a.sizeBytes &&
  b.sizeBytes === a.sizeBytes &&
  b.reads === a.reads &&
  b.writes === a.writes;

const count = (number: number, what: string): string => `${number} ${what}${number === 1 ? '' : 's'}`;
