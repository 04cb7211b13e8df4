/** The tables of docs/faults.md, made from the table of kinds of faults. */
import { ACCESS_KINDS } from '../../instrumentation/faults/kinds/accesses';
import { BUS_ERROR_KINDS } from '../../instrumentation/faults/kinds/bus-errors';
import { CARD_KINDS } from '../../instrumentation/faults/kinds/triggered';
import { DMA_KINDS } from '../../instrumentation/faults/kinds/dma';
import { INTERRUPT_KINDS } from '../../instrumentation/faults/kinds/interrupts';
import { ORDER_KINDS } from '../../instrumentation/faults/kinds/order';
import { RESET_KINDS } from '../../instrumentation/faults/kinds/resets';
import { type Kind } from '../../instrumentation/faults/kind';
import {
  ACCESS,
  COMMON,
  COUNTED,
  DMA,
  INTERRUPT,
  type Parameter,
  type Parameters,
  RESET,
} from '../../instrumentation/faults/parameters';

/** By the file that they are made from. */
export const faultTables = (): Record<string, string> => ({
  'instrumentation/faults/parameters.ts': keyTable(),
  'instrumentation/faults/kinds/interrupts.ts': kindTable(INTERRUPT_KINDS),
  'instrumentation/faults/kinds/order.ts': kindTable(ORDER_KINDS),
  'instrumentation/faults/kinds/dma.ts': kindTable(DMA_KINDS),
  'instrumentation/faults/kinds/accesses.ts': kindTable(ACCESS_KINDS),
  'instrumentation/faults/kinds/bus-errors.ts': kindTable(BUS_ERROR_KINDS),
  'instrumentation/faults/kinds/resets.ts': kindTable(RESET_KINDS),
  'instrumentation/faults/kinds/triggered.ts': kindTable(CARD_KINDS),
});

/** The keys that select events, and those that every fault may have. */
function keyTable(): string {
  const rows = (sort: string, keys: Parameters) =>
    Object.entries(keys)
      .filter(([key]) => keys === COUNTED || !(key in COUNTED))
      .map(([key, parameter]) => [`\`${key}\``, sort, parameter.doc + wordDefault(parameter, ' Default ', '.')]);
  const events = [
    ...rows('interrupts', INTERRUPT),
    ...rows('DMA', DMA),
    ...rows('accesses', ACCESS),
    ...rows('resets', RESET),
  ];
  return table(['Key', 'For', 'Meaning'], [...rows('all', COUNTED), ...events, ...rows('all', COMMON)]);
}

function kindTable(kinds: Readonly<Record<string, Kind>>): string {
  const rows = Object.entries(kinds).map(([name, { parameters = {}, triggers, doc }]) => {
    const own = Object.entries(parameters).map(([key, parameter]) => {
      const needed = parameter.need === 'required' ? '; required' : wordDefault(parameter, '; default ');
      return `\`${key}\`: ${parameter.doc}${needed}`;
    });
    const events = triggers?.map((trigger) => `\`${trigger}\``).join(', ');
    const when = events && ['`atNs`: at which device time, or', `\`on\`: at which event (${events}), with its keys`];
    return [`\`${name}\``, [...(when ?? []), ...own].join('<br>'), doc];
  });
  return table(['Kind', 'Parameters', 'What happens'], rows);
}

const wordDefault = (parameter: Parameter, before: string, after = ''): string =>
  parameter.need === 'default' ? `${before}${(parameter.default as number).toLocaleString('en-US')}${after}` : '';

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
