/** `ghostcard trace to-test`: a recorded run as a unit test, which runs in milliseconds and needs no guest. */
import { existsSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { Command } from 'commander';
import { replay, type ReplayResult } from '../../../instrumentation/replay';
import { type Trace, writeTrace } from '../../../instrumentation/trace';
import { watchdog } from '../../../emulator/watchdog';
import { type CardCode, cardCode, loadCard } from '../../common/card-source';
import { once } from '../../common/options';
import { print } from '../../common/output';
import { isSameFile, writeWhole } from '../../common/output-file';
import { UsageError } from '../../common/errors';
import { replaying } from '../replay';
import { loadTrace } from './open';

interface Options {
  readonly card: string;
  readonly output: string;
  readonly of?: string;
  readonly force?: true;
}

export function toTestCommand(): Command {
  return new Command('to-test')
    .description('Write a Vitest file that replays a recording, and the recording, cut down to one card, beside it.')
    .argument('<file>', 'the recording')
    .requiredOption('--card <name-or-file>', 'the card to test, as for run', once)
    .requiredOption('--output <file>', 'the test to write: a name that ends in .test.ts', once)
    .option('--of <name-or-number>', 'which card of the recording, if it has several', once)
    .option('--force', 'overwrite existing files')
    .action(async (file: string, options: Options) => {
      const testPath = resolve(options.output);
      const tracePath = tracePathOf(testPath, options, file);
      const trace = loadTrace(file);
      const code = await cardCode(options.card, dirname(testPath));
      using _watch = watchdog.watch();
      const { make } = await loadCard(options.card);
      const result = await replaying(file, () =>
        replay(trace, make, options.of === undefined ? {} : { card: options.of }),
      );
      const text = testFile(file, tracePath, testPath, trace, result, code, commandOf(file, options));
      writeWhole('--output', tracePath, (path) => writeTrace(path, onlyOf(trace, result)));
      writeWhole('--output', testPath, (path) => writeFileSync(path, text));
      print(`${options.output} replays ${basename(tracePath)} beside it: npx vitest run ${options.output}`);
      print(result.divergence ? `It fails now: ${result.report}` : 'It passes now.');
    });
}

function tracePathOf(testPath: string, { output, force }: Options, recording: string): string {
  if (!/\.(test|spec)\.[cm]?[jt]s$/.test(testPath)) {
    throw new UsageError(`--output ${output}: Vitest finds files whose names end in .test.ts; choose such a name`);
  }
  const tracePath = join(dirname(testPath), `${basename(testPath).replace(/\.(test|spec)\.[cm]?[jt]s$/, '')}.trace`);
  const own = [testPath, tracePath].find((path) => isSameFile(recording, path));
  if (own !== undefined) {
    throw new UsageError(`--output ${output}: this would overwrite the recording itself, ${own}; choose another name`);
  }
  for (const path of [testPath, tracePath]) {
    if (existsSync(path) && !force) throw new UsageError(`--output ${output}: ${path} exists; --force overwrites it`);
  }
  if (!existsSync(dirname(testPath)))
    throw new UsageError(`--output ${output}: there is no folder ${dirname(testPath)}`);
  return tracePath;
}

/** The trace of one card, with the marks that belong to no card. */
const onlyOf = ({ header, events }: Trace, { id }: ReplayResult) => ({
  header,
  events: events.filter(({ card }) => card === id || card === 0),
});

const commandOf = (file: string, { card, output, of }: Options): string =>
  `ghostcard trace to-test ${file} --card ${card}${of === undefined ? '' : ` --of ${of}`} --output ${output}`;

function testFile(
  file: string,
  tracePath: string,
  testPath: string,
  { header }: Trace,
  { card, total, deviceNs, events }: ReplayResult,
  { imports, builtIn, make, name }: CardCode,
  command: string,
): string {
  const failures = events.filter((event) => 'error' in event && event.error !== undefined).length;
  const traceName = basename(tracePath);
  return `/**
 * Replays what happened to the card '${card.name}' in ${basename(file)}: the card must do the same again.
 *
 * Recorded on ${header.startedAt} by ghostcard ${header.writer}: ${total} events, ${(deviceNs / 1e6).toFixed(3)} ms of device time.
 * Written by: ${command}
 * Run by:     npx vitest run ${basename(testPath)}
 */
import { join } from 'node:path';
${builtIn === undefined ? '' : `import { ${builtIn} } from 'ghostcard/cards';\n`}import { readTrace, replay } from 'ghostcard/instrumentation';
import { describe, expect, it } from 'vitest';${imports === undefined ? '' : `\n${imports}`}

const trace = readTrace(join(__dirname, '${traceName}'));
const replayed = () => replay(trace, (environment) => ${make});

describe('${name}, as in ${traceName}', () => {
  it('does what it did', async () => {
    const run = await replayed();
    run.check(); // throws, with the first divergence
  });

  // A rule over all that the card did, in the events of the trace: see docs/replay.md for others.
  it('fails in ${failures === 0 ? 'no' : failures} DMA access${failures === 1 ? '' : 'es'}', async () => {
    const { events } = await replayed();
    const failed = events.filter((event) => event.kind.startsWith('dma-') && 'error' in event);
    expect(failed).toHaveLength(${failures});
  });
});
`;
}
