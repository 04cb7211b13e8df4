/** The options that choose events of a recording. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import {
  type AddressRange,
  type EventSelector,
  type Selection,
  type TraceCards,
} from '../../../instrumentation/analysis';
import { KIND_NAMES, kindsNamed, Region, type TraceEventKind } from '../../../instrumentation/trace';
import { UnknownNameError } from '../../../emulator/registers/name-pattern';
import { wordNearest } from '../../../emulator/registers/nearest-names';
import { collect } from '../../common/options';
import { UsageError } from '../../common/errors';

export interface SelectionOptions {
  readonly kind?: TraceEventKind[];
  readonly register?: string[];
  readonly address?: AddressRange[];
  readonly channel?: string[];
  readonly from?: number;
  readonly to?: number;
  readonly card?: string;
  readonly withoutConfig?: true;
}

export function addSelectionOptions(command: Command): Command {
  return command
    .addOption(new Option('--kind <kinds>', 'only these kinds of events, such as write,interrupt').argParser(kinds))
    .option(
      '--register <pattern>',
      "accesses of registers, 'H2C[*].STATUS' or 'STATUS.ERROR=1'; may be repeated",
      collect,
    )
    .addOption(
      new Option('--address <range>', 'host memory 0x1000-0x1fff or 0x1000+64, or in a BAR, bar0:0x100').argParser(
        ranges,
      ),
    )
    .option('--channel <name>', 'DMA and states of a part of the card, such as H2C0; may be repeated', collect)
    .addOption(new Option('--from <time>', 'device time to begin at, such as 1.5ms').argParser(time))
    .addOption(new Option('--to <time>', 'device time to end at').argParser(time))
    .option('--card <name-or-number>', 'only this card')
    .option('--without-config', 'leave out accesses of configuration space');
}

/** Throws UsageError when no time can be in it. */
export function selectionOf(options: SelectionOptions): Selection {
  const { from = 0, to = Infinity } = options;
  if (from > to) throw new UsageError('--from is after --to: nothing is between them; exchange the two');
  return {
    ...(options.kind && { kinds: options.kind }),
    ...(options.register && { registers: options.register }),
    ...(options.address && { ranges: options.address }),
    ...(options.channel && { channels: options.channel }),
    ...(options.from !== undefined && { fromNs: options.from }),
    ...(options.to !== undefined && { toNs: options.to }),
    ...(options.card !== undefined && { card: options.card }),
    ...(options.withoutConfig && { withoutConfig: true }),
  };
}

/** Throws UsageError when a pattern means no register of the cards in the recording. */
export function checkRegisters(selector: EventSelector): void {
  for (const { pattern, why } of selector.unknownRegisters) throw new UsageError(`--register ${pattern}: ${why}`);
}

/** Throws UsageError when the option names a register that is not there. */
export function withNamesOf<T>(option: string, body: () => T): T {
  try {
    return body();
  } catch (error) {
    throw error instanceof UnknownNameError ? new UsageError(`${option}: ${error.message}`) : error;
  }
}

/** Throws UsageError when the recording, which has been read to its end, has no such card, or nothing of a channel. */
export function checkPlaces(selector: EventSelector, cards: TraceCards, { card }: SelectionOptions): void {
  if (selector.isCardUnknown) {
    const known = cards.all.map(({ id, description }) => `${id} (${description.name})`).join(', ');
    throw new UsageError(`--card ${card}: no card has this name or number; there are ${known}`);
  }
  const { patterns, known } = selector.unknownChannels;
  for (const pattern of patterns) {
    throw new UsageError(
      `--channel ${pattern}: the recording has no channel of this name; ${wordNearest(pattern, known)}`,
    );
  }
}

function kinds(value: string, previous: TraceEventKind[] = []): TraceEventKind[] {
  const named = value.split(',').flatMap((name) => {
    const kinds = kindsNamed(name);
    if (kinds.length > 0) return kinds;
    throw new InvalidArgumentError(`There is no kind '${name}'; there are ${KIND_NAMES.join(', ')}.`);
  });
  return [...previous, ...named];
}

const UNITS: Readonly<Record<string, number>> = { ns: 1, us: 1e3, ms: 1e6, s: 1e9 };

function time(value: string): number {
  const [, number = '', unit = ''] = /^(\d+(?:\.\d+)?)(ns|us|ms|s)$/.exec(value) ?? [];
  if (number === '') throw new InvalidArgumentError('It must be a time with a unit (ns, us, ms, s), such as 1.5ms.');
  return Number(number) * UNITS[unit]!;
}

const NUMBER = '0x[\\da-f]+|\\d+';
const RANGE = new RegExp(`^(?:(bar([0-5])|config):)?(${NUMBER})(?:([-+])(${NUMBER}))?$`, 'i');

function ranges(value: string, previous: AddressRange[] = []): AddressRange[] {
  const [whole, space, bar, first = '', sign, second = ''] = RANGE.exec(value) ?? [];
  const from = Number(first);
  const to = sign === '-' ? Number(second) : sign === '+' ? from + Number(second) - 1 : from;
  if (whole === undefined || to < from) {
    throw new InvalidArgumentError(
      'It must be an address or a range, 0x1000, 0x1000-0x1fff or 0x1000+64, in host memory, or in a BAR or ' +
        'configuration space with bar0: or config: before it.',
    );
  }
  const region = space === undefined ? undefined : bar === undefined ? Region.CONFIG : Number(bar);
  return [...previous, { ...(region !== undefined && { region }), from, to }];
}
