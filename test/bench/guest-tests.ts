/**
 * (i) Guest tests per minute: a suite of Vitest tests, each with a new guest, a card, its driver and a DMA (suite/), from
 * the start of Vitest to its end. One worker against guests that are only booted; two workers against one.
 */
import { join } from 'node:path';
import { execa } from 'execa';
import { type Provisioned, provision } from '../../qemu/provision';
import { Rig } from '../../qemu/rig';
import { type Benchmark, type BenchmarkContext } from './benchmark';
import { type Figure, figure, type Round } from './figure';
import { TESTS_PER_FILE } from './suite/tests-per-file';

const FILES = 2;
const TIMEOUT_MS = 600_000;
const SUITE = join(__dirname, 'suite', 'vitest.config.mts');
const VITEST = join(require.resolve('vitest/package.json'), '..', 'vitest.mjs');

async function testsPerMinute(workers: number): Promise<number> {
  const startedMs = performance.now();
  const args = [VITEST, 'run', '--config', SUITE, '--maxWorkers', String(workers), '--reporter', 'json'];
  const { stdout } = await execa(process.execPath, args, { stdin: 'ignore', timeout: TIMEOUT_MS, reject: false });
  const minutes = (performance.now() - startedMs) / 60_000;
  const { numPassedTests } = JSON.parse(stdout) as { numPassedTests: number };
  if (numPassedTests !== FILES * TESTS_PER_FILE) throw new Error(`not all guest tests of the suite passed:\n${stdout}`);
  return numPassedTests / minutes;
}

async function bootsPerMinute(provisioned: Provisioned): Promise<number> {
  const startedMs = performance.now();
  await using rig = await Rig.start({ provisioned, start: 'cold' });
  await rig.close();
  return 60_000 / (performance.now() - startedMs);
}

async function run({ quick, say }: BenchmarkContext): Promise<Figure[]> {
  const provisioned = await provision();
  await (await Rig.start({ provisioned })).close(); // makes the snapshot, if there is none
  const rounds = { one: [] as Round[], two: [] as Round[] };
  for (let round = 0; round < (quick ? 1 : 3); round++) {
    say(`guest tests per minute: round ${round + 1}`);
    const one = await testsPerMinute(1);
    rounds.one.push({ subject: one, floor: await bootsPerMinute(provisioned) });
    rounds.two.push({ subject: await testsPerMinute(2), floor: one });
  }
  const definition = { group: 'i', unit: '/min' };
  return [
    figure({ ...definition, name: 'guest tests, 1 worker', floorName: 'boots of a guest' }, rounds.one),
    figure({ ...definition, name: 'guest tests, 2 workers', floorName: '1 worker' }, rounds.two),
  ];
}

export const guestTests: Benchmark = { groups: ['i'], title: 'guest tests per minute', run };
