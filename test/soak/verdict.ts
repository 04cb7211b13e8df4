/** Whether a soak was passed: nothing failed, and what was taken is given back. */
import { type Tally } from './ground';
import { type Sample } from './samples';

/** When nothing is under way: before the soak, after its first round, and at its end. */
export interface Quiet {
  /** Heap and buffers, after garbage collection. */
  readonly settledMiB: number;
  /** What they refer to, as far as it tells them apart: `socket`, a path. */
  readonly descriptors: readonly string[];
  readonly processes: number;
  /** Folders, sockets and mounts of runs. */
  readonly remains: readonly string[];
}

export interface Verdict {
  readonly passed: boolean;
  readonly lines: readonly string[];
}

/** Caches of the code (of names, of modules) fill up in the first minutes. */
const SETTLED_GROWTH_MIB = 16;
/** The C library keeps what was freed, in arenas of 64 MiB for each thread: it grows in steps, and stays. */
const RESIDENT_GROWTH_MIB = 256;

export function verdictOf(tally: Tally, samples: readonly Sample[], before: Quiet, after: Quiet): Verdict {
  const [early, late] = [median(part(samples, 0.15, 0.35)), median(part(samples, 0.8, 1))];
  const wrong = [
    ...tally.failures,
    ...(after.settledMiB - before.settledMiB > SETTLED_GROWTH_MIB
      ? [`heap and buffers have grown by more than ${SETTLED_GROWTH_MIB} MiB`]
      : []),
    ...(late - early > RESIDENT_GROWTH_MIB ? [`memory has grown by more than ${RESIDENT_GROWTH_MIB} MiB`] : []),
    ...surplus(after.descriptors, before.descriptors).map((target) => `a descriptor is open still: ${target}`),
    ...(after.processes > 0 ? [`${after.processes} processes are there still`] : []),
    ...after.remains.map((remain) => `left behind: ${remain}`),
  ];
  const minutes = (samples.at(-1)?.seconds ?? 0) / 60;
  const { verifiedBytes, guests, plugs, replays, kills, times } = tally;
  const mib = (value: number): string => `${value.toFixed(1)} MiB`;
  return {
    passed: wrong.length === 0,
    lines: [
      `${minutes.toFixed(1)} minutes: ${guests} guests, ${plugs} cards plugged in, ${replays} replays, ${kills} kills`,
      `done in guests: ${
        Object.entries(times)
          .map(([name, count]) => `${name} ${count}`)
          .join(', ') || 'nothing'
      }`,
      `verified byte by byte: ${(verifiedBytes / 2 ** 30).toFixed(2)} GiB`,
      `heap and buffers after garbage collection: ${mib(before.settledMiB)} before, ${mib(after.settledMiB)} after`,
      `resident memory, medians: ${mib(early)} early, ${mib(late)} late`,
      `descriptors: ${before.descriptors.length} before, ${after.descriptors.length} after; processes: ${after.processes} after, ` +
        `${Math.max(0, ...samples.map(({ processes }) => processes))} at most`,
      ...wrong.map((each) => `wrong: ${each}`),
      wrong.length === 0 ? 'passed' : `failed: ${wrong.length} wrong`,
    ],
  };
}

const part = (samples: readonly Sample[], from: number, to: number): number[] =>
  samples
    .slice(Math.floor(samples.length * from), Math.ceil(samples.length * to))
    .map(({ residentMiB }) => residentMiB);

/** Those of the first list that the second does not have, each as often as it is there more often. */
function surplus(all: readonly string[], known: readonly string[]): string[] {
  const left = [...known];
  return all.filter((each) => {
    const at = left.indexOf(each);
    if (at >= 0) left.splice(at, 1);
    return at < 0;
  });
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}
