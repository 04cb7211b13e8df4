/**
 * `npm run bench`: costs, as ratios to a floor measured in the same run. Prints a table and writes artifacts/bench.json. A
 * missed goal is reported and is not an error; a benchmark that cannot run is.
 *
 *   npm run bench                     everything, about six minutes
 *   npm run bench -- --only a,b,c     these groups of figures
 *   npm run bench -- --quick          short rounds, to check that everything runs
 */
import { rmSync } from 'node:fs';
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type Benchmark } from './benchmark';
import { dma } from './dma';
import { dmaCheck } from './dma-check';
import { dmaMaps } from './dma-maps';
import { engines } from './engines';
import { type Figure } from './figure';
import { guest } from './guest';
import { guestTests } from './guest-tests';
import { iommu } from './iommu';
import { Busyness, describeMachine } from './machine';
import { recording } from './recording';
import { registerAccess } from './register-access';
import { link } from './link';
import { formatReport, type Report } from './report';
import { socketAccess } from './socket-access';
import { promptStarts, warmStarts } from './starts';

const benchmarks: readonly Benchmark[] = [
  socketAccess,
  dma,
  guest,
  promptStarts,
  warmStarts,
  guestTests,
  registerAccess,
  dmaCheck,
  dmaMaps,
  recording,
  link,
  iommu,
  engines,
];
const artifacts = join(__dirname, '..', '..', 'artifacts');
/** How long the other load of the machine is measured. */
const LOOK_MS = 1000;

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { only: { type: 'string' }, quick: { type: 'boolean', default: false } } });
  const selected = select(values.only);
  const folder = await mkdtemp(join(tmpdir(), 'ghostcard-bench-'));
  // Also at Ctrl-C: children end with this process, and the folder is removed.
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

  const report = await measure(selected, values.quick, folder);
  await mkdir(artifacts, { recursive: true });
  await writeFile(join(artifacts, 'bench.json'), `${JSON.stringify(report, undefined, 2)}\n`);
  process.stdout.write(formatReport(report));
  for (const { title, message } of report.failures) console.error(`bench: ${title} could not run: ${message}`);
  if (report.failures.length > 0) process.exitCode = 1;
}

/** The groups to run, and the benchmarks that have them. */
function select(only: string | undefined): ReadonlySet<string> {
  const known = benchmarks.flatMap(({ groups }) => groups);
  const asked = only?.split(',') ?? known;
  const unknown = asked.filter((group) => !known.includes(group));
  if (unknown.length > 0) throw new Error(`--only ${unknown.join(',')}: there are ${known.join(',')}`);
  return new Set(asked);
}

async function measure(groups: ReadonlySet<string>, quick: boolean, folder: string): Promise<Report> {
  const say = (text: string): void => console.error(`bench: ${text}`);
  const started = new Date();
  const busyness = new Busyness();
  await setTimeout(LOOK_MS);
  const machine = describeMachine();
  const busyBefore = busyness.take();
  const figures: Figure[] = [];
  const failures: { title: string; message: string }[] = [];
  for (const benchmark of benchmarks.filter((one) => one.groups.some((group) => groups.has(group)))) {
    say(benchmark.title);
    try {
      const measured = await benchmark.run({ quick, folder, say });
      figures.push(...measured.filter(({ group }) => groups.has(group)));
    } catch (error) {
      failures.push({ title: benchmark.title, message: (error as Error).message });
    }
  }
  figures.sort((a, b) => a.group.localeCompare(b.group));
  const seconds = (Date.now() - started.getTime()) / 1000;
  return { startedAt: started.toISOString(), quick, machine, busyBefore, seconds, figures, failures };
}

main().catch((error: unknown) => {
  console.error(`bench: ${(error as Error).message}`);
  process.exitCode = 1;
});
