/** The conformance suite on our own server, over `ghostcard conformance` as users run it. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { AREAS, type CaseResult } from '../../instrumentation/conformance';

const cli = join(__dirname, '..', '..', 'cli', 'ghostcard.js');
const SLOW_MS = 120_000;

interface Report {
  readonly passed: number;
  readonly failed: number;
  readonly results: readonly CaseResult[];
}

/** Runs the suite on the server that `command` starts. */
function conformance(command: string, ...options: readonly string[]): { report: Report; exitCode: number | null } {
  const args = [cli, 'conformance', '--spawn', command, '--json', ...options];
  const ended = spawnSync(process.execPath, args, { encoding: 'utf8', maxBuffer: 1 << 28 });
  if (ended.stdout === '') throw new Error(`ghostcard conformance has printed no report: ${ended.stderr}`);
  return { report: JSON.parse(ended.stdout) as Report, exitCode: ended.status };
}

const unhappy = ({ results }: Report): string[] =>
  results
    .filter(({ outcome }) => outcome === 'failed' || outcome === 'not-run')
    .map(({ id, came }) => `${id}: ${came}`);
const cases = AREAS.flatMap(({ cases }) => cases);

test('the reference card passes every case', { timeout: SLOW_MS }, () => {
  const { report, exitCode } = conformance(`${process.execPath} ${cli} serve --card reference --socket {socket}`);
  expect(unhappy(report)).toEqual([]);
  expect(report.results).toHaveLength(cases.length);
  expect(exitCode).toBe(0);
});
