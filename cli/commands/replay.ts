/** `ghostcard replay`: repeats a recorded run on a card, without a guest. */
import { basename } from 'node:path';
import { Command } from 'commander';
import { drive, type DriveResult, replay, ReplayError, type ReplayResult } from '../../instrumentation/replay';
import { printable, writeTrace } from '../../instrumentation/trace';
import { watchdog } from '../../emulator/watchdog';
import { loadCard } from '../common/card-source';
import { EXIT, UsageError } from '../common/errors';
import { once, requireCard } from '../common/options';
import { print } from '../common/output';
import { refuseOtherFiles, refuseToReplace, writeWhole, writingTo } from '../common/output-file';
import { loadTrace } from './trace/open';
import { endWith } from '../common/own-process';

interface Options {
  readonly card: string;
  readonly of?: string;
  readonly all?: true;
  readonly json?: true;
  readonly drive?: true;
  readonly record?: string;
}

export function replayCommand(): Command {
  return requireCard(new Command('replay'))
    .description(
      'Repeat a recorded run on a card, without a guest, and report the first divergence from the recording.',
    )
    .argument('<file>', 'the recording')
    .option('--of <name-or-number>', 'which card of the recording, if it has several', once)
    .option('--all', 'continue after reads that return another value, and show them all')
    .option('--drive', 'use the recording in place of a driver, for a card that has changed; nothing is compared')
    .option('--record <file>', 'with --drive: record what happens, for ghostcard trace', once)
    .option('--json', 'print the result as JSON')
    .addHelpText(
      'after',
      '\nExit codes: 0 no divergence, 1 a divergence, 2 wrong usage, 125 the recording cannot be replayed.',
    )
    .action(async (file: string, { card, of, all, json, drive: isDriven, record }: Options) => {
      const source = await loadCard(card);
      const trace = loadTrace(file);
      using _watch = watchdog.watch();
      if (record !== undefined && !isDriven) throw new UsageError('--record needs --drive: give both');
      if (isDriven && all)
        throw new UsageError('--all needs a comparison, and --drive compares nothing: leave one of them out');
      if (record !== undefined) {
        refuseToReplace(file, record, '--record');
        writingTo('--record', record, () => refuseOtherFiles(record));
      }
      const which = of === undefined ? {} : { card: of };
      if (isDriven) {
        const result = await replaying(file, async () => drive(trace, source.make, which));
        if (record !== undefined) writeWhole('--record', record, (path) => writeTrace(path, result.trace));
        print(json ? JSON.stringify(driveJsonOf(result)) : driveLinesOf(result, record).join('\n'));
        if (result.missing.length + result.thrown.length > 0) endWith(EXIT.FAILED);
        return;
      }
      const startedMs = performance.now();
      const result = await replaying(file, () => replay(trace, source.make, { ...which, allReads: all === true }));
      const wallMs = performance.now() - startedMs;
      if (json) print(JSON.stringify(jsonOf(result, wallMs)));
      else for (const line of linesOf(result, wallMs)) print(line);
      if (result.divergence) endWith(EXIT.FAILED);
    });
}

/** Errors name the file; an unknown or ambiguous card is a UsageError. */
export async function replaying<T>(file: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (!(error instanceof ReplayError)) throw error;
    const isChoice = /say which by its number|has no card/.test(error.message);
    throw isChoice
      ? new UsageError(`${basename(file)}: ${error.message} (--of)`)
      : new ReplayError(`${basename(file)}: ${error.message}`);
  }
}

function linesOf(result: ReplayResult, wallMs: number): string[] {
  const { divergences, events, total, deviceNs } = result;
  const others = divergences.slice(1).flatMap((divergence) => ['', ...result.describe(divergence)]);
  const more = divergences.length > 1 ? [`${divergences.length} divergences`] : [];
  const times = `${(deviceNs / 1e6).toFixed(3)} ms of device time in ${wallMs.toFixed(0)} ms`;
  return [result.report, ...others, ...more, `${events.length} of ${total} events replayed: ${times}`];
}

function jsonOf(result: ReplayResult, wallMs: number) {
  const { card, divergence, divergences, events, total, deviceNs, notes } = result;
  return {
    ...{ same: divergence === undefined, card: card.name, events: total, replayed: events.length },
    ...{ deviceNs, wallMs: Math.round(wallMs), notes },
    divergences: divergences.map((each) => ({ event: each.event, timeNs: each.timeNs, report: result.describe(each) })),
  };
}

const stackOf = (error: unknown): string => (error instanceof Error ? (error.stack ?? error.message) : String(error));

function driveLinesOf(
  { notes, events, missing, thrown, unknownBytes }: DriveResult,
  record: string | undefined,
): string[] {
  const count = (kind: string) => events.filter((event) => event.kind.startsWith(kind)).length;
  return [
    ...notes.map((note) => `note: ${printable(note)}`),
    `driven to the end: ${events.length} events, ${count('dma')} of them DMA accesses and ${count('interrupt')} of interrupts`,
    ...missing.map(
      ({ before, what }) => `missing at ${(before.timeNs / 1000).toFixed(3)} us of the trace: ${printable(what)}`,
    ),
    ...thrown.map((error) => `the card has thrown: ${stackOf(error)}`),
    ...(unknownBytes > 0
      ? [`the card read ${unknownBytes} bytes of host memory that are not in the trace: they were 0`]
      : []),
    ...(record === undefined ? [] : [`recorded in ${record}`]),
  ];
}

function driveJsonOf({ notes, events, missing, thrown, unknownBytes }: DriveResult) {
  const late = missing.map(({ before, what }) => ({ timeNs: before.timeNs, what }));
  return { notes, events: events.length, missing: late, thrown: thrown.map(stackOf), unknownBytes };
}
