/** A few runs of the corpus of bugs (test/bugs); `npm run bugs` does all. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GUEST_ARCHES } from '../../qemu/provision';
import { BUGS } from '../bugs/bugs';
import { Guests } from '../bugs/guests';
import { RUNS } from '../bugs/runs';
import { buildDrivers, correct, type Subject } from '../bugs/variants';
import { type Outcome, planOf, signsOf, verdictOf, wordAttempt } from '../bugs/verdicts';

const CORRECT = [correct('user'), correct('module')];
const folder = mkdtempSync(join(tmpdir(), 'gc-bugs-'));
const guests = new Guests();
afterAll(async () => {
  await guests[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

/** Of each, whether it is found, and the run that shows it every time. */
const FOUND: readonly (readonly [name: string, run: string, outcome: Outcome])[] = [
  ['virtual-address', 'plain', 'named'],
  ['buffer-after-doorbell', 'not coherent', 'effect'],
  ['fields-after-owner', 'plain', 'not found'],
];
const found = FOUND.map(([name, run, outcome]) => ({ bug: BUGS.find((bug) => bug.name === name)!, run, outcome }));

describe.each(GUEST_ARCHES)('on %s', (arch) => {
  const subjects: readonly Subject[] = [...CORRECT, ...(arch === 'amd64' ? found.map(({ bug }) => bug) : [])];
  let files: ReadonlyMap<string, string>;
  beforeAll(async () => {
    files = await buildDrivers(subjects, arch, join(folder, arch));
  }, 900_000);

  it.each([
    { subject: CORRECT[0]!, way: 'vfio-pci' },
    { subject: CORRECT[0]!, way: 'uio_pci_generic' },
    { subject: CORRECT[1]!, way: 'module' },
  ] as const)('$subject.name under $way does its work, and no check has anything to say', async ({ subject, way }) => {
    expect(await guests.attempt({ subject, run: RUNS[0]!, arch, way, files, bug: undefined })).toEqual([]);
  });

  if (arch !== 'amd64') return;
  it.each(found)('$bug.name, in the run "$run": $outcome', async ({ bug, run, outcome }) => {
    const planned = planOf(bug).find((each) => each.run.name === run && each.arch === arch)!;
    const signs = await signsOf(guests, planned, files);
    expect(verdictOf(bug, [[wordAttempt(planned), signs]]), JSON.stringify(signs)).toMatchObject({ outcome });
  });
});
