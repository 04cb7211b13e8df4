/** `ghostcard trace diff`: where two recordings first differ. */
import { resolve } from 'node:path';
import { Command } from 'commander';
import {
  type DiffLane,
  diffTraces,
  describeWithoutTime,
  TraceCards,
  type TraceDiff,
  wordEventTime,
} from '../../../instrumentation/analysis';
import { type Trace } from '../../../instrumentation/trace';
import { EXIT } from '../../common/errors';
import { collect, wholeNumber } from '../../common/options';
import { print } from '../../common/output';
import { loadTrace } from './open';
import { withNamesOf } from './selection';
import { endWith } from '../../common/own-process';

interface DiffCommandOptions {
  readonly strict?: true;
  readonly ignoreData?: true;
  readonly ignoreAddresses?: true;
  readonly ignore?: string[];
  readonly withoutConfig?: true;
  readonly context: number;
  readonly json?: true;
}

export function diffCommand(): Command {
  return new Command('diff')
    .description(
      'Compare two recordings, and print the first difference. Exit code 0: they are the same; 1: they differ.',
    )
    .argument('<a>', 'a recording')
    .argument('<b>', 'another one')
    .option('--strict', 'compare everything but times: order, polls, tasks, mappings, addresses')
    .option('--ignore-data', 'do not compare the bytes that DMA moves, except descriptors and write-backs')
    .option('--ignore-addresses', 'do not compare addresses of host memory: of DMA, in registers and descriptors')
    .option('--ignore <pattern>', 'do not compare accesses of these registers; may be repeated', collect)
    .option('--without-config', 'do not compare accesses of configuration space')
    .option('--context <n>', 'events shown before and after the difference', wholeNumber(0, 1000), 5)
    .option('--json', 'print it as JSON')
    .action((fileA: string, fileB: string, options: DiffCommandOptions) => {
      const a = loadTrace(fileA);
      const b = resolve(fileB) === resolve(fileA) ? a : loadTrace(fileB);
      const { ignore, ...rest } = options;
      const diff = withNamesOf(`--ignore ${ignore?.join(' --ignore ')}`, () =>
        diffTraces(a, b, { ...rest, ...(ignore && { ignoreRegisters: ignore }) }),
      );
      if (options.json) print(JSON.stringify(diff, undefined, 2));
      else show(diff, { file: fileA, trace: a }, { file: fileB, trace: b }, options);
      if (diff.difference) endWith(EXIT.FAILED);
    });
}

interface Run {
  readonly file: string;
  readonly trace: Trace;
}

const LANES: Record<DiffLane, string> = { driver: ' of the driver', card: ' of the card', all: '' };

function show(diff: TraceDiff, a: Run, b: Run, { context, strict, ignoreAddresses }: DiffCommandOptions): void {
  const { difference, same } = diff;
  if (difference) {
    const { lane, atA, atB, isOfAddresses } = difference;
    print(`the runs are the same for ${same} events${LANES[lane]}, then they differ`);
    print(`\n${a.file}:\n${around(a.trace, atA, context)}`);
    print(`\n${b.file}:\n${around(b.trace, atB, context)}\n`);
    if (isOfAddresses)
      print('they differ here in addresses of host memory only: --ignore-addresses compares the rest\n');
  } else {
    print(`the runs are the same: ${same} events`);
  }
  for (const note of strict ? ['not compared: times'] : notesOf(diff)) print(`# ${note}`);
  if (ignoreAddresses) print('# not compared: addresses of host memory');
}

/** The lines around a place; the place itself has a `>`. */
function around({ events }: Trace, at: number, context: number): string {
  const cards = TraceCards.of(events);
  const lines = events
    .slice(Math.max(0, at - context), at + context + 1)
    .map((event) => `${wordEventTime(event)}  ${describeWithoutTime(event, cards)}`);
  if (at >= events.length) lines.push('(nothing more)');
  const place = Math.min(at, context);
  return lines.map((line, i) => `${i === place ? '>' : ' '} ${line}`).join('\n');
}

const SHOWN_ADDRESSES = 4;

function notesOf({ renamed, polls, hasPayloads }: TraceDiff): string[] {
  const shown = renamed.slice(0, SHOWN_ADDRESSES).map(({ a, b }) => `0x${a.toString(16)} is 0x${b.toString(16)}`);
  const more = renamed.length > SHOWN_ADDRESSES ? ` and ${renamed.length - SHOWN_ADDRESSES} more` : '';
  return [
    'not compared: times, scheduled work, mappings, marks of commands, how accesses of the driver and actions of the card interleave',
    ...(polls[0] + polls[1] > 0 ? [`left out: reads that repeat those before, ${polls[0]} and ${polls[1]}`] : []),
    ...(renamed.length > 0 ? [`host memory at other addresses: ${shown.join(', ')}${more}`] : []),
    ...(hasPayloads ? [] : ['the bytes of DMA are not compared: the two recordings do not have them in the same way']),
  ];
}
