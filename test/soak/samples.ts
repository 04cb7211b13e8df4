/** What this process and all that it has started take, second by second. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type Tally } from './ground';

export interface Sample {
  readonly seconds: number;
  /** Of DMA, since the last sample. */
  readonly verifiedMiBPerSecond: number;
  /** Anonymous resident memory of this process: the cards are in it. */
  readonly residentMiB: number;
  readonly heapMiB: number;
  readonly descriptors: number;
  /** Of this process's children, theirs, and so on. */
  readonly processes: number;
}

const MIB = 2 ** 20;

export class Sampler {
  readonly samples: Sample[] = [];
  #lastBytes = 0;
  #lastMs: number;

  constructor(
    private readonly tally: Tally,
    private readonly startedMs = performance.now(),
  ) {
    this.#lastMs = startedMs;
  }

  take(): Sample {
    const now = performance.now();
    const { verifiedBytes } = this.tally;
    const passed = Math.max(now - this.#lastMs, 1) / 1000;
    const sample = {
      seconds: Math.round((now - this.startedMs) / 100) / 10,
      verifiedMiBPerSecond: (verifiedBytes - this.#lastBytes) / MIB / passed,
      ...memoryNow(),
      descriptors: openDescriptors().length,
      processes: descendants(process.pid).length,
    };
    [this.#lastBytes, this.#lastMs] = [verifiedBytes, now];
    this.samples.push(sample);
    return sample;
  }
}

function memoryNow(): Pick<Sample, 'residentMiB' | 'heapMiB'> {
  const [, resident] = /^RssAnon:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))!;
  const { heapUsed } = process.memoryUsage();
  return { residentMiB: Number(resident) / 1024, heapMiB: heapUsed / MIB };
}

/** What JavaScript holds, buffers outside of the heap included, after all garbage has been collected. */
export function settledMiB(): number {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  for (let times = 0; times < 3; times++) collect();
  const { heapUsed, external } = process.memoryUsage();
  return (heapUsed + external) / MIB;
}

/** What the descriptors of this process refer to, without the numbers of sockets and pipes. */
export const openDescriptors = (): string[] =>
  readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`).replace(/\[\d+\]$/, '')];
    } catch {
      return []; // the folder's own
    }
  });

/** The processes that are children of `pid`, or of one of them. */
export function descendants(pid: number): number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'latin1');
      const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      if (state !== 'Z') parents.set(Number(name), Number(parent));
    } catch {
      // it has ended meanwhile
    }
  }
  const found = new Set([pid]);
  for (let grown = true; grown;) {
    grown = false;
    for (const [child, parent] of parents) {
      if (!found.has(parent) || found.has(child)) continue;
      found.add(child);
      grown = true;
    }
  }
  return [...found].filter((each) => each !== pid);
}

export const csvOf = (samples: readonly Sample[]): string => {
  const names = ['seconds', 'verifiedMiBPerSecond', 'residentMiB', 'heapMiB', 'descriptors', 'processes'] as const;
  const rows = samples.map((sample) => names.map((name) => Number(sample[name].toFixed(2))).join(','));
  return [names.join(','), ...rows, ''].join('\n');
};
