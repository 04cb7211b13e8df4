/** `ghostcard conformance`: what a vfio-user server, in any language, does with right and wrong messages. */
import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { Command } from 'commander';
import {
  type CaseResult,
  ConformanceError,
  idOf,
  junitOf,
  ListeningTarget,
  runConformance,
  selected,
  SpawnedTarget,
  type Target,
} from '../../instrumentation/conformance';
import { eraseProgress, EXIT, showProgress, UsageError } from '../common/errors';
import { interruption } from '../common/interruption';
import { collect, once, wholeNumber } from '../common/options';
import { formatTable, print } from '../common/output';
import { writeWhole } from '../common/output-file';
import { endWith } from '../common/own-process';

interface Options {
  readonly socket?: string;
  readonly spawn?: string;
  readonly only?: string[];
  readonly list?: true;
  readonly timeout: number;
  readonly junit?: string;
  readonly json?: true;
}

/** For a server to make its socket; `ghostcard serve` on a busy machine takes seconds. */
const START_MS = 30_000;

export function conformanceCommand(): Command {
  return new Command('conformance')
    .description('Test any vfio-user server over its socket: what it does with right and wrong messages.')
    .option('--socket <path>', 'the socket of a server that runs, and has to survive all cases', once)
    .option('--spawn <command>', 'a command that starts the server, in which {socket} stands for the path', once)
    .option('--only <area-or-case>', 'only this area, or case; may be repeated', collect)
    .option('--list', 'print the cases instead of running them')
    .option('--timeout <seconds>', 'limit for each reply', wholeNumber(1, 3600), 5)
    .option('--junit <file>', 'write the results for a build server', once)
    .option('--json', 'print the results as JSON')
    .addHelpText(
      'after',
      '\nExit codes: 0 no case has failed, 1 one has, 2 wrong usage, 125 the server cannot be reached.',
    )
    .action(async (options: Options) => {
      const { only, list, json, junit, timeout } = options;
      const areas = orUsage(() => selected(only));
      if (list) {
        const cases = areas.flatMap((area) => area.cases.map((each) => ({ id: idOf(area, each), ...each })));
        if (json) print(JSON.stringify(cases.map(({ id, section, expects }) => ({ id, section, expects }))));
        else for (const { id, section, expects } of cases) print(`${id}: ${expects} (${section})`);
        return;
      }
      if (junit !== undefined) writeWhole('--junit', junit, (path) => writeFileSync(path, ''));
      const signal = interruption();
      await using target = targetOf(options);
      const results: CaseResult[] = [];
      await runConformance({
        ...{ target, timeoutMs: timeout * 1000, signal },
        ...(only && { only }),
        onResult: (result) => {
          results.push(result);
          if (!json) showProgress(`${results.length} cases, ${count(results, 'failed')} failed; ${result.id}`);
        },
      });
      eraseProgress();
      if (junit !== undefined) writeWhole('--junit', junit, (path) => writeFileSync(path, junitOf(results)));
      if (json) print(JSON.stringify(jsonOf(results)));
      else print(reportOf(results));
      if (results.some(({ outcome }) => outcome === 'failed' || outcome === 'not-run')) endWith(EXIT.FAILED);
    });
}

function targetOf({ socket, spawn }: Options): Target {
  if ((socket === undefined) === (spawn === undefined))
    throw new UsageError('give either --socket, of a server that runs, or --spawn, the command that starts one');
  if (socket !== undefined) return new ListeningTarget(resolve(socket));
  return orUsage(() => new SpawnedTarget(spawn!, START_MS));
}

function orUsage<T>(run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw error instanceof ConformanceError ? new UsageError(error.message) : error;
  }
}

const count = (results: readonly CaseResult[], outcome: CaseResult['outcome']): number =>
  results.filter((result) => result.outcome === outcome).length;

/** On a terminal only. */
function jsonOf(results: readonly CaseResult[]): object {
  return {
    passed: count(results, 'passed'),
    failed: count(results, 'failed'),
    notApplicable: count(results, 'not-applicable'),
    notRun: count(results, 'not-run'),
    results,
  };
}

function reportOf(results: readonly CaseResult[]): string {
  const areas = [...new Set(results.map(({ area }) => area))];
  const rowOf = (name: string, of: readonly CaseResult[]): string[] => [
    name,
    ...[of.length, count(of, 'passed'), count(of, 'failed'), count(of, 'not-applicable')].map(String),
  ];
  const rows = areas.map((area) =>
    rowOf(
      area,
      results.filter((result) => result.area === area),
    ),
  );
  const numbers = ['cases', 'passed', 'failed', 'not applicable'].map((title) => ({ title, align: 'right' as const }));
  const table = formatTable([{ title: 'area' }, ...numbers], [...rows, rowOf('all', results)]);
  const notRun = results.filter(({ outcome }) => outcome === 'not-run');
  const parts = [
    ...results.filter(({ outcome }) => outcome === 'failed').map(failureOf),
    ...results
      .filter(({ outcome }) => outcome === 'not-applicable')
      .map(({ id, came }) => `not applicable: ${id}: ${came}`),
    ...(notRun.length > 0 ? [`${notRun.length} cases were not run: ${notRun[0]!.came}`] : []),
  ];
  return [...parts, '', table.trimEnd()].join('\n').trimStart();
}

const failureOf = ({ id, section, expects, came, transcript = [] }: CaseResult): string =>
  [
    `FAILED ${id}`,
    `  expected: ${expects}`,
    `  by:       ${section}`,
    `  came:     ${came}`,
    ...transcript.map((line) => `    ${line}`),
    '',
  ].join('\n');
