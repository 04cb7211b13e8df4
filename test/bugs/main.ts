/**
 * `npm run bugs`: runs every bug of the corpus in every way that ghostcard has to make it show, prints a table, and writes
 * results.json and docs/bugs.md.
 *
 *   npm run bugs                      all, and the correct drivers in every run
 *   npm run bugs -- NAME...           these; `correct-user` and `correct-module` are the correct drivers
 *   npm run bugs -- --diff NAME...    prints the changes that make the bugs, and runs nothing
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type GuestArch } from '../../qemu/provision';
import { BUGS } from './bugs';
import { Guests, type Sign } from './guests';
import { generatedFiles } from '../generate/files';
import { keepResults, wordRow } from './page';
import { buildDrivers, correct, diffOf, lineOf } from './variants';
import { planOf, planOfCorrect, signsOf, verdictOf, wordAttempt } from './verdicts';

const say = (text: string): void => console.error(`bugs: ${text}`);
const CORRECT = [correct('user'), correct('module')];

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({ options: { diff: { type: 'boolean' } }, allowPositionals: true });
  const known = [...CORRECT, ...BUGS].map(({ name }) => name);
  const unknown = positionals.filter((name) => !known.includes(name));
  if (unknown.length > 0) throw new Error(`there is no ${unknown.join(', ')}; there are ${known.join(', ')}`);
  const isWanted = ({ name }: { readonly name: string }) => positionals.length === 0 || positionals.includes(name);
  const folder = mkdtempSync(join(tmpdir(), 'ghostcard-bugs-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));
  if (values.diff) {
    for (const bug of BUGS.filter(isWanted)) {
      console.log(`${bug.name}, to be named: line ${lineOf(bug)}\n${await diffOf(bug, folder)}`);
    }
    return;
  }
  await runAll(folder, isWanted);
  for (const { path, text } of generatedFiles()) if (path.endsWith('bugs.md')) writeFileSync(path, text);
}

/** The correct drivers first. What was found of each is kept when its last run has ended. */
async function runAll(folder: string, isWanted: (subject: { readonly name: string }) => boolean): Promise<void> {
  const wanted = BUGS.filter(isWanted);
  const plans = [
    ...planOfCorrect(BUGS).filter(({ subject }) => isWanted(subject)),
    ...wanted.flatMap((bug) => planOf(bug)),
  ];
  let shown: [place: string, signs: readonly Sign[]][] = [];
  await using guests = new Guests();
  const builds = new Map<GuestArch, ReadonlyMap<string, string>>();
  for (const arch of new Set(plans.map((planned) => planned.arch))) {
    say(`building drivers for ${arch}`);
    const here = plans.filter((planned) => planned.arch === arch);
    const needed = new Set(here.flatMap(({ subject, bug }) => [subject.name, bug?.after]));
    const subjects = [...CORRECT, ...BUGS].filter(({ name }) => needed.has(name));
    builds.set(arch, await buildDrivers(subjects, arch, join(folder, arch)));
  }
  for (const [index, planned] of plans.entries()) {
    const { subject, arch } = planned;
    const signs = await signsOf(guests, planned, builds.get(arch)!);
    const place = wordAttempt(planned);
    say(
      `${index + 1}/${plans.length} ${subject.name} (${place}): ${signs.map(({ by, text }) => `${by}: ${text}`).join('; ') || '-'}`,
    );
    shown.push([place, signs]);
    if (plans[index + 1]?.subject.name === subject.name) continue;
    const verdict = verdictOf(BUGS.find(({ name }) => name === subject.name) ?? {}, shown);
    console.log(wordRow(subject.name, verdict));
    keepResults(new Map([[subject.name, verdict]]));
    shown = [];
  }
}

main().catch((error: unknown) => {
  console.error(`bugs: ${(error as Error).message}`);
  process.exitCode = 1;
});
