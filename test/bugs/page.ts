/** The tables of docs/bugs.md: what `npm run bugs` has found, from results.json. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Bug, type DriverName } from './bug';
import { BUGS } from './bugs';
import { RUNS } from './runs';
import { type Outcome, type Verdict } from './verdicts';

type Results = Readonly<Record<string, Verdict>>;

const RESULTS = join(__dirname, 'results.json');
/** What a cell of the table has room for. */
const MESSAGE_CHARACTERS = 140;

const OUTCOMES: Record<Outcome, string> = { 'named': 'by name', 'effect': 'by its effect', 'not found': 'not found' };
const DRIVERS: Record<DriverName, string> = { user: 'The driver in user space', module: 'The kernel module' };

/** Of a message; without the folder that the drivers were built in, which is another one each time. */
function shortened(message: string): string {
  const text = message.replaceAll(/\/tmp\/ghostcard-bugs-[^/]+\/\w+\//g, '');
  return text.length <= MESSAGE_CHARACTERS ? text : `${text.slice(0, MESSAGE_CHARACTERS - 1)}…`;
}

export const wordRow = (name: string, { outcome, sign, ...where }: Verdict): string =>
  [name, OUTCOMES[outcome], ...(sign ? [`${sign.by}: ${shortened(sign.text)}`, `(${wordRuns(where)})`] : [])].join(
    '  ',
  );

const wordRuns = ({ runs, of }: Pick<Verdict, 'runs' | 'of'>): string =>
  `${runs.length === of ? `all ${of}` : `${runs.length} of ${of}`}: ${runs.join('; ')}`;

const results = (): Results => (existsSync(RESULTS) ? (JSON.parse(readFileSync(RESULTS, 'utf8')) as Results) : {});

/** Those of bugs that were not run are kept. */
export function keepResults(verdicts: ReadonlyMap<string, Verdict>): void {
  const known = { ...results(), ...Object.fromEntries(verdicts) };
  const names = ['correct-user', 'correct-module', ...BUGS.map(({ name }) => name)].filter((name) => name in known);
  const kept = Object.fromEntries(names.map((name) => [name, known[name]]));
  writeFileSync(RESULTS, `${JSON.stringify(kept, undefined, 2)}\n`);
}

export function bugTables(): string {
  const found = results();
  const drivers = Object.keys(DRIVERS) as DriverName[];
  return [
    count(found),
    ['| Run | With |', '| --- | --- |', ...RUNS.map(({ name, what }) => `| ${name} | ${what} |`)].join('\n'),
    ...drivers.map((driver) =>
      [
        `### ${DRIVERS[driver]}`,
        '',
        '| Bug | What is wrong | Kind | Found | By | In |',
        '| --- | --- | --- | --- | --- | --- |',
        row(found[`correct-${driver}`], { name: '(none)', what: 'The correct driver.', kind: '' }),
        ...BUGS.filter((bug) => bug.driver === driver).map((bug) => row(found[bug.name], bug)),
      ].join('\n'),
    ),
  ].join('\n\n');
}

function count(found: Results): string {
  const of = (outcome: Outcome) => BUGS.filter(({ name }) => found[name]?.outcome === outcome).length;
  const notRun = BUGS.filter(({ name }) => !(name in found)).length;
  return (
    `Of ${BUGS.length} bugs, ${of('named')} are found by name, ${of('effect')} only by their effect, and ` +
    `${of('not found')} not at all${notRun > 0 ? `; ${notRun} have not been run yet` : ''}.`
  );
}

function row(
  verdict: Verdict | undefined,
  { name, what, kind }: Pick<Bug, 'name' | 'what'> & { kind: string },
): string {
  const cells = (found: string, by = '', runs = '') => `| ${[name, what, kind, found, by, runs].join(' | ')} |`;
  if (verdict === undefined) return cells('not run yet');
  const { outcome, sign } = verdict;
  if (sign === undefined) return cells(name === '(none)' ? 'nothing to find' : OUTCOMES[outcome]);
  const text = shortened(sign.text).replaceAll('|', '\\|').replaceAll('<', '&lt;');
  return cells(OUTCOMES[outcome], `${sign.by}: ${text}`, wordRuns(verdict));
}
