/** Clients without end, until there are enough messages or time is over, or one has found something. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { client } from './arbitraries';
import { Bench, type Holdings, holdings } from './bench';
import { readCorpus } from './corpus';
import { type Step } from './step';
import { tryOut } from './trial';

/** After this many clients, what is filled once is full: caches, pools, compiled code. */
const WARM_UP_CLIENTS = 400;
const CLIENTS_A_ROUND = 100;
/** What a run may leave behind: less than a few bytes for each message. */
const MOST_HEAP_GROWTH_BYTES = 8 << 20;
const MOST_RESIDENT_GROWTH_BYTES = 96 << 20;

export interface SessionLimits {
  readonly messages: number;
  readonly seconds: number;
  readonly seed: number;
  readonly findings: string;
  readonly isInterrupted: () => boolean;
  readonly say: (text: string) => void;
}

interface State extends Holdings {
  readonly heapBytes: number;
  readonly residentBytes: number;
}

/** @returns what has been found, if anything */
export async function fuzzSession(limits: SessionLimits): Promise<string | undefined> {
  const { say, seed } = limits;
  const startedMs = performance.now();
  const seconds = (): number => (performance.now() - startedMs) / 1000;
  let bench = await Bench.start();
  try {
    for (const { steps } of readCorpus()) await tryOut(bench, steps);
    let messages = 0;
    let clients = 0;
    let before: State | undefined;
    const property = fc.asyncProperty(client, async (steps) => {
      try {
        messages += await tryOut(bench, steps);
        clients++;
      } catch (error) {
        // What it has done to this one must not look like a finding of the next.
        await bench[Symbol.asyncDispose]();
        bench = await Bench.start();
        throw error;
      }
    });
    for (let round = 0; messages < limits.messages && seconds() < limits.seconds; round++) {
      if (limits.isInterrupted()) break;
      const found = await fc.check(property, { seed: seed + round, numRuns: CLIENTS_A_ROUND });
      if (found.counterexample) {
        const [steps] = found.counterexample;
        return keep(limits.findings, steps, `${(found.errorInstance as Error).message}, seed ${seed + round}`);
      }
      if (before === undefined && clients >= WARM_UP_CLIENTS) before = state();
      if (round % 10 === 9) {
        const [a, b] = [messages, clients].map((count) => count.toLocaleString('en'));
        say(`session: ${a} messages of ${b} clients in ${seconds().toFixed(0)} s`);
      }
    }
    say(`session: ${messages.toLocaleString('en')} messages of ${clients.toLocaleString('en')} clients, seed ${seed}`);
    if (before === undefined) return undefined;
    const after = state();
    for (const line of compare(before, after)) say(`session: ${line}`);
    return growthIn(before, after);
  } finally {
    await bench[Symbol.asyncDispose]();
  }
}

/** Writes the client down, as the corpus has them. */
function keep(folder: string, steps: readonly Step[], what: string): string {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, 'client.json');
  writeFileSync(path, `${JSON.stringify(steps, undefined, 2)}\n`);
  return `${what}; its client is ${path}; do it again with npm run fuzz -- --repeat ${path}`;
}

let collect: (() => void) | undefined;

/** After garbage collection: twice, since finalisers of the first free what the second finds. */
function state(): State {
  if (collect === undefined) {
    setFlagsFromString('--expose-gc');
    collect = runInNewContext('gc') as () => void;
  }
  collect();
  collect();
  const { heapUsed, external, rss } = process.memoryUsage();
  return { ...holdings(), heapBytes: heapUsed + external, residentBytes: rss };
}

const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

const compare = (before: State, after: State): string[] => [
  `descriptors: ${before.descriptors} before, ${after.descriptors} after`,
  `mappings of clients' memory: ${before.mappings} before, ${after.mappings} after`,
  `heap and buffers: ${mebibytes(before.heapBytes)} before, ${mebibytes(after.heapBytes)} after`,
  `resident memory: ${mebibytes(before.residentBytes)} before, ${mebibytes(after.residentBytes)} after`,
];

function growthIn(before: State, after: State): string | undefined {
  if (after.descriptors !== before.descriptors) return 'descriptors have been left open';
  if (after.mappings !== before.mappings) return 'memory of clients has been left mapped';
  if (after.heapBytes - before.heapBytes > MOST_HEAP_GROWTH_BYTES) return 'the heap has grown';
  if (after.residentBytes - before.residentBytes > MOST_RESIDENT_GROWTH_BYTES) return 'resident memory has grown';
  return undefined;
}
