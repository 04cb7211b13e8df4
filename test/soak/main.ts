/**
 * `npm run soak`: guests, DMA that is verified byte by byte, hot-plug, faults, kills, recording and replay, in an order that
 * a seed decides, on two workers for a long time (CONTRIBUTING.md). Ends with a picture and a verdict in artifacts/soak.
 *
 *   npm run soak -- --minutes N [--seed N] [--workers N]
 *
 * The rounds that come before, one of each kind, are those of the seed: `--seed N` of a failure repeats it.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { provision, provisionObserver, terminalProgress } from '../../qemu/provision';
import { Random } from '../support/random-driver';
import { leftovers, mounts } from '../support/remains';
import { ACTIVITIES } from './activities';
import { type Ground, Tally } from './ground';
import { pictureOf } from './picture';
import { csvOf, descendants, openDescriptors, Sampler, settledMiB } from './samples';
import { type Quiet, verdictOf } from './verdict';

const ARTIFACTS = join(__dirname, '..', '..', 'artifacts', 'soak');
const SAMPLE_EVERY_MS = 1000;
const SAY_EVERY_MS = 30_000;
const say = (text: string): void => console.error(`soak: ${text}`);

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { minutes: { type: 'string' }, seed: { type: 'string' }, workers: { type: 'string' } },
  });
  const minutes = positive('minutes', values.minutes) ?? 10;
  const workers = positive('workers', values.workers) ?? 2;
  const seed = positive('seed', values.seed) ?? (Date.now() & 0x3fff_ffff) + 1;
  const folder = mkdtempSync(join(tmpdir(), 'gc-soak-'));
  process.env.TMPDIR = folder; // all that is left behind is in it
  try {
    process.exitCode = (await soak({ minutes, workers, seed, folder })) ? 0 : 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function soak(options: { minutes: number; workers: number; seed: number; folder: string }): Promise<boolean> {
  const { minutes, workers, seed, folder } = options;
  const provisioned = {
    amd64: await provision({ guestArch: 'amd64', onProgress: terminalProgress() }),
    arm64: await provision({ guestArch: 'arm64', onProgress: terminalProgress() }),
  };
  await provisionObserver({ onProgress: terminalProgress() });
  const controller = new AbortController();
  process.once('SIGINT', () => controller.abort(new Error('the soak was interrupted')));
  process.once('SIGTERM', () => controller.abort(new Error('the soak was interrupted')));
  const tally = new Tally();
  const { signal } = controller;
  const groundOf = (number: number): Ground => ({ random: new Random(number), tally, provisioned, folder, signal });

  say(`seed ${seed}, ${workers} workers, ${minutes} minutes; the first round of each kind comes before`);
  for (const run of new Set(Object.values(ACTIVITIES))) await attempt(run, seed, groundOf(seed));
  const before = quiet(folder);
  const sampler = new Sampler(tally);
  const sampling = setInterval(() => sampler.take(), SAMPLE_EVERY_MS);
  const saying = setInterval(() => {
    const [last] = sampler.samples.slice(-1);
    const { verifiedBytes, guests, kills, failures } = tally;
    say(
      `${((last?.seconds ?? 0) / 60).toFixed(1)} of ${minutes} minutes: ${guests} guests, ${kills} kills, ` +
        `${(verifiedBytes / 2 ** 20).toFixed(0)} MiB verified, ${last?.residentMiB.toFixed(0)} MiB, ${failures.length} wrong`,
    );
  }, SAY_EVERY_MS);
  const endsMs = performance.now() + minutes * 60_000;
  const work = async (worker: number): Promise<void> => {
    for (let round = 1; performance.now() < endsMs && !signal.aborted; round++) {
      const own = seed + worker * 1_000_000 + round;
      await attempt(new Random(-own).of(Object.values(ACTIVITIES)), own, groundOf(own));
    }
  };
  await Promise.all(Array.from({ length: workers }, (_, worker) => work(worker)));
  clearInterval(sampling);
  clearInterval(saying);
  await delay(1000); // for the keepers of folders to end
  sampler.take();
  const { passed, lines } = verdictOf(tally, sampler.samples, before, quiet(folder));
  mkdirSync(ARTIFACTS, { recursive: true });
  writeFileSync(join(ARTIFACTS, 'soak.csv'), csvOf(sampler.samples));
  writeFileSync(join(ARTIFACTS, 'soak.svg'), await pictureOf(sampler.samples, `soak: ${lines[0]}; ${lines.at(-1)}`));
  writeFileSync(join(ARTIFACTS, 'verdict.txt'), [`seed ${seed}`, ...lines, ''].join('\n'));
  for (const line of lines) say(line);
  say(`picture, samples and verdict are in ${relative(process.cwd(), ARTIFACTS)}`);
  return passed;
}

async function attempt(run: (ground: Ground) => Promise<void>, seed: number, ground: Ground): Promise<void> {
  try {
    await run(ground);
  } catch (error) {
    if (ground.signal.aborted) return;
    const text = `${run.name} with --seed ${seed}: ${(error as Error).message}`;
    ground.tally.failures.push(text);
    say(`wrong: ${text}`);
  }
}

const quiet = (folder: string): Quiet => ({
  settledMiB: settledMiB(),
  descriptors: openDescriptors(),
  processes: descendants(process.pid).length,
  remains: [...leftovers(folder), ...mounts(folder)],
});

function positive(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (value > 0 && Number.isFinite(value)) return value;
  throw new Error(`--${name} ${text}: give a number above 0`);
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
