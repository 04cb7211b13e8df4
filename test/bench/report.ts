/** The report of a benchmark as a table, and as JSON. */
import { formatTable } from '../../cli/common/output';
import { type Figure, type Spread } from './figure';
import { type Machine } from './machine';

export interface Report {
  readonly startedAt: string;
  readonly quick: boolean;
  readonly machine: Machine;
  /** How busy all processors were in the second before the benchmarks began, 0 to 1. */
  readonly busyBefore: number;
  readonly seconds: number;
  readonly figures: readonly Figure[];
  /** Benchmarks that could not run. */
  readonly failures: readonly { readonly title: string; readonly message: string }[];
}

const columns = [
  { title: '' },
  { title: 'what' },
  { title: 'median', align: 'right' },
  { title: 'min..max', align: 'right' },
  { title: 'floor', align: 'right' },
  { title: 'unit' },
  { title: 'floor is' },
  { title: 'ratio', align: 'right' },
  { title: 'min..max', align: 'right' },
  { title: 'goal' },
  { title: 'note' },
] as const;

export function formatReport({ machine, quick, figures, busyBefore, seconds }: Report): string {
  const { cpu, cores, memoryGiB, kernel, node } = machine;
  return [
    `${cpu}, ${cores} cores, ${memoryGiB} GiB; Linux ${kernel}; Node ${node}`,
    `load ${machine.load}, processors ${percent(busyBefore)} busy before; took ${Math.round(seconds)} s` +
      (quick ? '; --quick: the numbers mean little' : ''),
    '',
    formatTable(columns, figures.map(row)),
  ].join('\n');
}

function row({ group, name, unit, floorName, goal, note, subject, floor, ratio, met }: Figure): string[] {
  const sign = goal?.kind === 'at-least' ? '>=' : '<=';
  const verdict = goal ? `${sign} ${goal.ratio} ${met ? 'met' : 'NOT MET'}` : '';
  const value = (of: Spread): string => `${significant(of.min)}..${significant(of.max)}`;
  return [
    `(${group})`,
    name,
    significant(subject.median),
    value(subject),
    significant(floor.median),
    unit,
    floorName,
    significant(ratio.median),
    value(ratio),
    verdict,
    note ?? '',
  ];
}

/** Three significant digits, without an exponent. */
export function significant(value: number): string {
  if (value === 0) return '0';
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toFixed(Math.min(digits, 4));
}

const percent = (share: number): string => `${Math.round(100 * share)} %`;
