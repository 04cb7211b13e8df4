/** Runs bugs, and says of each whether it was found. */
import { type GuestArch } from '../../qemu/provision';
import { type Bug, type Way } from './bug';
import { type Attempt, type Guests, type Sign } from './guests';
import { type Run, RUNS } from './runs';
import { correct, fileOf, lineOf, type Subject } from './variants';

/** `named`: a message says what the mistake is. `effect`: something went wrong, or a message says so. */
export type Outcome = 'named' | 'effect' | 'not found';

export interface Verdict {
  readonly outcome: Outcome;
  /** The runs that show the outcome: "plain, IOMMU". */
  readonly runs: readonly string[];
  /** How many runs there were. */
  readonly of: number;
  readonly sign?: Sign;
}

const waysOf = ({ ways, driver }: Bug): readonly Way[] => ways ?? [driver === 'module' ? 'module' : 'vfio-pci'];
const archesOf = ({ arches }: Bug): readonly GuestArch[] => arches ?? ['amd64'];

type Planned = Omit<Attempt, 'files'>;

/** All runs of a bug; of its correct driver with `subject`. */
export function planOf(bug: Bug, subject: Subject = bug): Planned[] {
  return archesOf(bug).flatMap((arch) =>
    waysOf(bug).flatMap((way) => runsUnder(bug, way).map((run) => ({ subject, run, arch, way, bug }))),
  );
}

const runsUnder = (bug: Bug, way: Way): Run[] =>
  RUNS.filter(
    ({ drivers, kinds, underUio = true, faults }) =>
      drivers.includes(bug.driver) &&
      (kinds?.includes(bug.kind) ?? true) &&
      (underUio || way !== 'uio_pci_generic') &&
      (faults === undefined || faults(bug) !== undefined),
  );

/** The runs of the correct drivers: all that a bug has, once. */
export function planOfCorrect(bugs: readonly Bug[]): Planned[] {
  const plans = new Map<string, Planned>();
  for (const bug of bugs) {
    for (const planned of planOf(bug, correct(bug.driver))) {
      const { arch, way, run } = planned;
      const circumstances = run.faults?.(bug) ?? bug.after;
      const key = JSON.stringify([arch, way, run.name, circumstances]);
      if (!plans.has(key)) plans.set(key, circumstances === undefined ? { ...planned, bug: undefined } : planned);
    }
  }
  return [...plans.values()];
}

/** What a run shows beyond what the correct driver would cause under the same fault. */
export async function signsOf(guests: Guests, planned: Planned, files: Attempt['files']): Promise<readonly Sign[]> {
  const { run, bug } = planned;
  const signs = await guests.attempt({ ...planned, files });
  const expected = run.faults && bug?.fault?.expected;
  return expected ? signs.filter(({ by, text }) => !expected.test(`${by}: ${text}`)) : signs;
}

export const wordAttempt = ({ run, arch, way }: Pick<Attempt, 'run' | 'arch' | 'way'>): string =>
  [run.name, way === 'uio_pci_generic' && 'UIO', arch === 'arm64' && 'arm64'].filter(Boolean).join(', ');

/** What the DMA check has to say, in words that begin with the line of the driver. */
const RACES = new Set(['notice dma-race', 'notice missing-barrier', 'notice use-after-free']);

/** A race names the mistake when it names its line, on either side. */
const namesLine = (bug: Partial<Bug>, { by, text }: Sign): boolean =>
  RACES.has(by) && isBug(bug) && text.includes(`${fileOf(bug)}:${lineOf(bug)} `);

const isBug = (bug: Partial<Bug>): bug is Bug => bug.name !== undefined;

export function verdictOf(
  bug: Partial<Bug>,
  shown: readonly (readonly [place: string, signs: readonly Sign[]])[],
): Verdict {
  const isNamed = (sign: Sign) => (bug.named?.test(`${sign.by}: ${sign.text}`) ?? false) || namesLine(bug, sign);
  const among = (outcome: Outcome, wanted: (sign: Sign) => boolean): Verdict | undefined => {
    const found = shown.filter(([, signs]) => signs.some(wanted));
    return found.length === 0
      ? undefined
      : { outcome, runs: found.map(([place]) => place), of: shown.length, sign: found[0]![1].find(wanted)! };
  };
  return among('named', isNamed) ?? among('effect', () => true) ?? { outcome: 'not found', runs: [], of: shown.length };
}
