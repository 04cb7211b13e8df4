/** A benchmark of this folder: a group of figures, how they are measured, and its environment. */
import { type Rig } from '../../qemu/rig';
import { type Figure } from './figure';

export interface BenchmarkContext {
  /** Short rounds, to check that everything runs; the numbers mean little. */
  readonly quick: boolean;
  /** A folder for sockets, removed at the end. */
  readonly folder: string;
  /** Prints what is being done. */
  readonly say: (text: string) => void;
}

export interface Benchmark {
  /** The letters of its figures. */
  readonly groups: readonly string[];
  readonly title: string;
  run(context: BenchmarkContext): Promise<Figure[]>;
}

/** Percentiles of a C program's samples, in nanoseconds. */
export interface Samples {
  readonly samples: number;
  readonly min: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** The line of JSON that mmio-client and gc-bench end with. */
export function parseSamples(output: string, program: string): Samples {
  const line = output.trimEnd().split('\n').at(-1) ?? '';
  try {
    return JSON.parse(line) as Samples;
  } catch {
    throw new Error(`${program} printed no samples but: ${line || 'nothing'}`);
  }
}

export const APP_TIMEOUT_MS = 120_000;

/** Runs gc-bench in a guest. */
export async function gcBench(rig: Rig, args: readonly string[]): Promise<Samples> {
  const argv = ['gc-bench', ...args];
  const { exitCode, stdout, stderr, timedOut } = await rig.guest.run(argv, { timeoutMs: APP_TIMEOUT_MS });
  if (exitCode !== 0) {
    const how = timedOut ? `was not done in ${APP_TIMEOUT_MS} ms` : `ended with ${exitCode}`;
    throw new Error(`${argv.join(' ')} ${how}: ${String(stderr).trim()}`);
  }
  return parseSamples(String(stdout), 'gc-bench');
}

export const nsToUs = (ns: number): number => ns / 1000;
