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
import { planOf, planOfCorrect, signsOf, type Verdict, verdictOf, wordAttempt } from './verdicts';

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
  const verdicts = await runAll(folder, isWanted);
  for (const [name, verdict] of verdicts) console.log(wordRow(name, verdict));
  keepResults(verdicts);
  for (const { path, text } of generatedFiles()) if (path.endsWith('bugs.md')) writeFileSync(path, text);
}

/** What was found of each, the correct drivers first. */
async function runAll(
  folder: string,
  isWanted: (subject: { readonly name: string }) => boolean,
): Promise<ReadonlyMap<string, Verdict>> {
  const wanted = BUGS.filter(isWanted);
  const plans = [
    ...planOfCorrect(BUGS).filter(({ subject }) => isWanted(subject)),
    ...wanted.flatMap((bug) => planOf(bug)),
  ];
  const shown = new Map<string, [place: string, signs: readonly Sign[]][]>();
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
    shown.set(subject.name, [...(shown.get(subject.name) ?? []), [place, signs]]);
  }

  return new Map(
    [...shown].map(([name, signs]) => [name, verdictOf(BUGS.find((bug) => bug.name === name) ?? {}, signs)]),
  );
}

main().catch((error: unknown) => {
  console.error(`bugs: ${(error as Error).message}`);
  process.exitCode = 1;
});
