import { expect, it } from 'vitest';
import { Tally } from './ground';
import { pictureOf } from './picture';
import { type Sample } from './samples';
import { verdictOf } from './verdict';

const QUIET = { settledMiB: 40, descriptors: ['socket', 'socket', '/dev/null'], processes: 0, remains: [] };
const samples = (residentMiB: (minute: number) => number): Sample[] =>
  Array.from({ length: 60 }, (_, minute) => ({
    ...{ seconds: minute * 60, verifiedMiBPerSecond: 20, heapMiB: 50, descriptors: 40, processes: 4 },
    residentMiB: residentMiB(minute),
  }));
const steady = samples(() => 200);

it('a soak that gives back what it has taken is passed', () => {
  expect(verdictOf(new Tally(), steady, QUIET, QUIET)).toMatchObject({ passed: true });
});

it.each([
  ['memory', samples((minute) => 200 + 8 * minute), QUIET, 'wrong: memory has grown by more than 256 MiB'],
  ['buffers', steady, { ...QUIET, settledMiB: 60 }, 'wrong: heap and buffers have grown by more than 16 MiB'],
  [
    'descriptors',
    steady,
    { ...QUIET, descriptors: [...QUIET.descriptors, 'socket'] },
    'wrong: a descriptor is open still: socket',
  ],
  ['processes', steady, { ...QUIET, processes: 2 }, 'wrong: 2 processes are there still'],
  ['files', steady, { ...QUIET, remains: ['run-1/qmp.sock'] }, 'wrong: left behind: run-1/qmp.sock'],
])('a soak that keeps %s is not', (_, taken, after, line) => {
  const { passed, lines } = verdictOf(new Tally(), taken, QUIET, after);
  expect([passed, lines.slice(-2)]).toEqual([false, [line, 'failed: 1 wrong']]);
});

it('a soak in which something failed is not passed, and says what', () => {
  const tally = new Tally();
  tally.failures.push('guest with --seed 7: the data differ');
  expect(verdictOf(tally, steady, QUIET, QUIET).lines.slice(-2)).toEqual([
    'wrong: guest with --seed 7: the data differ',
    'failed: 1 wrong',
  ]);
});

it('the picture has a panel for each of what was measured', async () => {
  const svg = await pictureOf(steady, 'soak: 60 minutes');
  expect(svg).toMatch(/^<svg /);
  for (const text of ['soak: 60 minutes', 'DMA verified, MiB/s', 'memory, MiB', 'descriptors', 'processes']) {
    expect(svg).toContain(text);
  }
  expect(svg.match(/<path [^>]*stroke="#(1b6ca8|c4622d)"/g)).toHaveLength(5);
});
